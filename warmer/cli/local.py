"""Commands that run everything on this machine, on a private Redis: development and the demo."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import click

from warmer.cli.exits import handle_errors
from warmer.cli.service import import_arguments
from warmer.errors import SettingsError
from warmer.processes.children import Children
from warmer.processes.private_server import PrivateServer

CHECK_INTERVAL_S = 0.1

SHUTDOWN_GRACE_S = 5.0
"""Shorter than the time after which `Children` kills a process."""


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--import", "modules", multiple=True, metavar="MODULE", help="Module that registers the tasks, or "
              "module:function to call. Can be given several times.")  # fmt: skip
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Number of worker processes.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@handle_errors
def dev(modules: tuple[str, ...], workers: int, command: tuple[str, ...]) -> None:
    """Run a scheduler and workers for development, on a private Redis unless WARMER_REDIS_URL is set.

    With a COMMAND, it runs too, with WARMER_REDIS_URL set, and everything stops when it exits. Without one, everything
    runs until Ctrl-C.

    Example: warmer dev --import app.tasks -- python app.py
    """
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda signum, frame: sys.exit(128 + signum))
    with ExitStack() as stack:
        if "WARMER_REDIS_URL" not in os.environ:
            server = stack.enter_context(PrivateServer.start())
            os.environ["WARMER_REDIS_URL"] = server.url
            click.echo(f"private {server.binary.name} at {server.url}; its data is lost when this ends", err=True)
        children = stack.enter_context(Children())
        children.start("the scheduler", "warmer", "scheduler", quiet=False)
        arguments = ["--supervised", "--shutdown-grace", str(SHUTDOWN_GRACE_S), *import_arguments(modules)]
        for number in range(1, workers + 1) if modules else ():
            children.start(f"worker {number}", "warmer", "worker", *arguments, quiet=False)
        if not modules:
            click.echo("no --import given: no worker runs", err=True)
        sys.exit(_run_with(children, command))


def _run_with(children: Children, command: tuple[str, ...]) -> int:
    """Run the command, or wait for Ctrl-C, while the children live; return the exit code."""
    process = _start(command) if command else None
    if process is None:
        click.echo(f"export WARMER_REDIS_URL={os.environ['WARMER_REDIS_URL']}", err=True)
    try:
        while process is None or process.poll() is None:
            children.check()
            time.sleep(CHECK_INTERVAL_S)
    except KeyboardInterrupt:
        return 0
    finally:
        if process is not None and process.poll() is None:
            process.terminate()
            process.wait()
    return process.returncode


def _start(command: tuple[str, ...]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command)
    except OSError as error:
        raise SettingsError(f"{command[0]!r} cannot be run: {error}; expected a command after --") from None


@click.command()
@click.option("--seconds", default=45, show_default=True, type=click.IntRange(5), help="How long it runs.")
@click.option("--keep", is_flag=True, help="Run until Ctrl-C.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 16), help="Number of worker processes.")
@handle_errors
def demo(seconds: int, keep: bool, workers: int) -> None:
    """Run the demo: dashboards over 336,776 real flights, read with warming and without.

    Example: warmer demo --keep
    """
    from warmer_demo.demo import run

    run(seconds=seconds, keep=keep, workers=workers)
