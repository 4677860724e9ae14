"""The `warmer` command: processes, the switch, statistics, health, and trying it out."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import click
from redis.exceptions import RedisError
from rich.console import Console
from rich.logging import RichHandler

from warmer.cli.bulk_view import first_errors, summary, watch
from warmer.cli.exits import EXIT_INTERRUPTED, EXIT_NO, ends_well
from warmer.cli.json_lines import items_at
from warmer.cli.plan import plan
from warmer.cli.record import record
from warmer.cli.simulate import simulate
from warmer.cli.stats_view import problems_of, shown
from warmer.client.default import fleet as _fleet
from warmer.client.warmer import Warmer
from warmer.engine.worker_name import is_of_this_host
from warmer.errors import SettingsError, WaitTimeoutError, described
from warmer.on_demand.bulk import BulkWarming
from warmer.processes.children import Children
from warmer.processes.private_server import PrivateServer
from warmer.results import BulkOutcome

LOOK_EVERY_S = 0.1
IN_FLIGHT = 10_000
MOST_BEGUN_S = 30.0
DEV_GRACE_S = 5.0

console = Console()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="warmer")
def main() -> None:
    """Keep a Redis cache warm: users never wait for it to fill.

    The server is named by WARMER_REDIS_URL; `dev`, `demo` and `simulate` need none.
    """


# --- processes -----------------------------------------------------------------------------------------------


@main.command()
@click.option("--import", "modules", multiple=True, metavar="MODULE", help="What registers the tasks: "
              "a module, or module:function to call. May be given several times.")  # fmt: skip
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1, 64), help="Worker processes; one "
              "that dies is started again.")  # fmt: skip
@click.option("--concurrency", type=click.IntRange(1, 1024), help="Computations at once, in threads.")
@click.option("--async-concurrency", type=click.IntRange(1, 100_000), help="Computations of async functions at once.")
@click.option("--isolated-processes", type=click.IntRange(1, 64), help="Processes for tasks with "
              "isolation='process'.")  # fmt: skip
@click.option("--shutdown-grace", type=click.FloatRange(min=0), metavar="SECONDS", help="How long a worker "
              "that is told to stop goes on with what it has begun.")  # fmt: skip
@click.option("--burst", is_flag=True, help="End when nothing is left to do.")
@click.option("--verbose", is_flag=True, help="Log every refresh.")
@click.option("--supervised", is_flag=True, hidden=True)
@ends_well
def worker(
    modules: tuple[str, ...],
    processes: int,
    concurrency: int | None,
    async_concurrency: int | None,
    isolated_processes: int | None,
    shutdown_grace: float | None,
    burst: bool,
    verbose: bool,
    supervised: bool,
) -> None:
    """Run a worker: it computes what is due, most important first.

    SIGTERM or Ctrl-C ends it in good order, within its grace and 2 seconds, with exit code 0. A second one, or SIGQUIT,
    ends it at once, with exit code 128 and the signal's number; nothing is lost. The exit code is 2 if a setting or a
    module is refused.
    """
    from warmer_workers.main import run_worker
    from warmer_workers.supervisor import Supervisor

    _log(verbose)
    _set_variables(
        concurrency=concurrency,
        async_concurrency=async_concurrency,
        isolated_processes=isolated_processes,
        shutdown_grace_s=shutdown_grace,
    )
    warmer = _fleet()
    if not modules:
        raise SettingsError("a worker needs to know its tasks: give --import MODULE, the module that registers them")
    if processes == 1:
        sys.exit(run_worker(warmer, modules, burst=burst, is_supervised=supervised))
    flags = [flag for flag, is_given in (("--burst", burst), ("--verbose", verbose)) if is_given]
    several = Supervisor([*_imports(modules), *flags], processes, warmer.settings.shutdown_grace_s, is_burst=burst)
    sys.exit(several.run())


def _set_variables(**values: float | None) -> None:
    """Hand options on as settings, to this process and to those that it starts."""
    for name, value in values.items():
        if value is not None:
            os.environ[f"WARMER_{name.upper()}"] = str(value)


def _imports(modules: tuple[str, ...]) -> list[str]:
    return [argument for module in modules for argument in ("--import", module)]


@main.command()
@click.option("--verbose", is_flag=True, help="Log more.")
@ends_well
def scheduler(verbose: bool) -> None:
    """Run a scheduler: it says when. Run two, and one takes over when the other dies."""
    _log(verbose)
    warmer = _fleet()
    try:
        from warmer_scheduler.main import run_scheduler
    except ImportError as error:
        raise SettingsError(f"the scheduler needs more packages ({error}): pip install 'warmer[scheduler]'") from error
    run_scheduler(warmer)


@main.command(context_settings={"ignore_unknown_options": True})
@click.option("--import", "modules", multiple=True, metavar="MODULE", help="What registers the tasks: "
              "a module, or module:function to call.")  # fmt: skip
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Worker processes.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@ends_well
def dev(modules: tuple[str, ...], workers: int, command: tuple[str, ...]) -> None:
    """Run everything here, for development: on a private server, unless WARMER_REDIS_URL names one.

    With a COMMAND, that runs too, with WARMER_REDIS_URL set; all ends when it does. Else Ctrl-C ends it.

    Example: warmer dev --import app.tasks -- python app.py
    """
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda signum, frame: sys.exit(128 + signum))
    with ExitStack() as stack:
        if "WARMER_REDIS_URL" not in os.environ:
            server = stack.enter_context(PrivateServer.start())
            os.environ["WARMER_REDIS_URL"] = server.url
            click.echo(f"private {server.binary.name} at {server.url}; its data is gone when this ends", err=True)
        children = stack.enter_context(Children())
        children.start("the scheduler", "warmer", "scheduler", quiet=False)
        # They have to end before `Children` loses its patience.
        arguments = ["--supervised", "--shutdown-grace", str(DEV_GRACE_S), *_imports(modules)]
        for number in range(1, workers + 1) if modules else ():
            children.start(f"worker {number}", "warmer", "worker", *arguments, quiet=False)
        if not modules:
            click.echo("no --import given: no worker runs", err=True)
        sys.exit(_run_beside(children, command))


def _started(command: tuple[str, ...]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command)
    except OSError as error:
        raise SettingsError(f"{command[0]!r} cannot be run: {error}; expected a command after --") from None


def _run_beside(children: Children, command: tuple[str, ...]) -> int:
    """Run the command, or wait for Ctrl-C, while the children live; returns the exit code."""
    process = _started(command) if command else None
    if process is None:
        click.echo(f"export WARMER_REDIS_URL={os.environ['WARMER_REDIS_URL']}", err=True)
    try:
        while process is None or process.poll() is None:
            children.check()
            time.sleep(LOOK_EVERY_S)
    except KeyboardInterrupt:
        return 0
    finally:
        if process is not None and process.poll() is None:
            process.terminate()
            process.wait()
    return process.returncode


# --- the switch and requests ---------------------------------------------------------------------------------


@main.command()
@click.option("--interval-minutes", default=60.0, show_default=True, help="Critical targets are refreshed at least "
              "this often.")  # fmt: skip
@click.option("--pattern/--no-pattern", default=True, show_default=True, help="Refresh others as their reads merit.")
@click.option("--critical/--no-critical", default=True, show_default=True, help="Keep critical targets warm always.")
@ends_well
def start(interval_minutes: float, pattern: bool, critical: bool) -> None:
    """Switch warming on for the whole fleet."""
    warmer = _fleet()
    warmer.start(interval_minutes, pattern=pattern, critical=critical)
    click.echo("warming is on")


@main.command()
@ends_well
def stop() -> None:
    """Switch warming off for the whole fleet."""
    warmer = _fleet()
    warmer.stop()
    click.echo("warming is off")


@main.command()
@click.argument("task_id")
@ends_well
def unregister(task_id: str) -> None:
    """Forget a task for the whole fleet.

    The exit code is 1 if there is none of this id.
    """
    if not _fleet().unregister(task_id):
        click.echo(f"no task {task_id!r} is registered", err=True)
        sys.exit(EXIT_NO)
    click.echo(f"forgot {task_id}")


@main.command()
@click.argument("task_id")
@click.option("--arguments", metavar="JSON", help="""Of a task with a key template: '{"user_id": 42}'.""")
@click.option("--many", metavar="FILE", help="Warm many targets: JSON Lines with the arguments of one each, as an "
              "object, an array by position or a single value; - reads standard input.")  # fmt: skip
@click.option("--force", is_flag=True, help="Compute even if the present value is fresh.")
@click.option("--wait", "wait_s", type=click.FloatRange(min=0), metavar="SECONDS", help="Wait for the outcome.")
@click.option("--in-flight", type=click.IntRange(min=1), metavar="N", help="With --many: how many may be outstanding. "
              "[default: 10000]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="With --many: print the outcome for scripts.")
@ends_well
def warm(
    task_id: str,
    arguments: str | None,
    many: str | None,
    force: bool,
    wait_s: float | None,
    in_flight: int | None,
    as_json: bool,
) -> None:
    """Ask the workers to warm one target now, or many.

    With --wait, and with --many, the exit code is 1 if anything failed. Ctrl-C cancels: what nobody has begun by then
    is taken back.
    """
    if many is None:
        if in_flight is not None or as_json:
            raise SettingsError("--in-flight and --json go with --many FILE")
        _warm_one(task_id, "{}" if arguments is None else arguments, force, wait_s)
    elif arguments is not None or wait_s is not None:
        raise SettingsError("--many FILE has the arguments of each target, and waits: leave out --arguments and --wait")
    else:
        _warm_many(task_id, many, force, in_flight or IN_FLIGHT, as_json)


def _warm_one(task_id: str, arguments: str, force: bool, wait_s: float | None) -> None:
    try:
        parsed = json.loads(arguments)
    except json.JSONDecodeError as error:
        raise SettingsError(f"--arguments must be a JSON object, got {arguments!r} ({error})") from None
    if not isinstance(parsed, dict):
        raise SettingsError(f"--arguments must be a JSON object, got {arguments!r}")
    handle = _fleet().warm(task_id, parsed, force=force)
    if wait_s is None:
        click.echo(f"asked for {handle.ref}")
        return
    outcome = handle.wait(wait_s)
    if not outcome.success:
        click.echo(f"{outcome.ref} failed after {outcome.duration_ms:.1f} ms: {outcome.error}", err=True)
        sys.exit(EXIT_NO)
    click.echo(f"{outcome.ref}: {outcome.result} in {outcome.duration_ms:.1f} ms")


def _warm_many(task_id: str, place: str, force: bool, in_flight: int, as_json: bool) -> None:
    try:
        handle = _fleet().warm_many(task_id, items_at(place), force=force, in_flight=in_flight)
        outcome = _waited_for(handle)
    except OSError as error:
        raise SettingsError(f"--many {place!r} cannot be read: {described(error)}") from None
    click.echo(outcome.model_dump_json(indent=2) if as_json else summary(outcome))
    for line in first_errors(outcome):
        click.echo(line, err=True)
    if handle.is_cancelled:
        sys.exit(EXIT_INTERRUPTED)
    if outcome.failed:
        sys.exit(EXIT_NO)


def _waited_for(handle: BulkWarming) -> BulkOutcome:
    """Wait until all has ended; at Ctrl-C only for what has been begun, and at a second one no more."""
    try:
        return watch(handle, Console(stderr=True))
    except KeyboardInterrupt:
        handle.cancel()
    click.echo("cancelled; waiting for what has been begun", err=True)
    try:
        return handle.wait(MOST_BEGUN_S)
    except (KeyboardInterrupt, WaitTimeoutError):
        return handle.so_far


@main.command()
@click.argument("name")
@ends_well
def release(name: str) -> None:
    """Let a target, or a task with all its targets, out of quarantine.

    NAME is a target's ref or a task's id, as `warmer stats` shows it. The exit code is 1 if nothing of that name was in
    quarantine.
    """
    released = _fleet().release(name)
    if not released:
        click.echo(f"nothing of the name {name!r} is in quarantine; `warmer stats` shows what is", err=True)
        sys.exit(EXIT_NO)
    for one in released:
        click.echo(f"released {one}")


# --- looking -------------------------------------------------------------------------------------------------


@main.command()
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@ends_well
def stats(as_json: bool) -> None:
    """Show the state of the fleet and of each task."""
    found = _fleet().stats()
    if as_json:
        click.echo(found.model_dump_json(indent=2))
        return
    for part in shown(found):
        console.print(part)
    for line in problems_of(found):
        console.print(line, style="red", soft_wrap=True, highlight=False)  # to be copied as one line


@main.command()
@click.argument("part", type=click.Choice(["redis", "scheduler", "worker", "all"]), default="all")
@click.option("--here", is_flag=True, help="Of workers, look only at those of this host or container.")
@ends_well
def check(part: str, here: bool) -> None:
    """Say whether the service is healthy; exit code 1 if not. For health checks.

    PART is what to look at: redis, a scheduler that leads, a worker that is alive, or all of them.
    """
    warmer = _fleet()
    problems = _problems(warmer, part, here)
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        sys.exit(EXIT_NO)
    click.echo("healthy")


def _problems(warmer: Warmer, part: str, here: bool) -> list[str]:
    try:
        warmer.store.ping()
        problems = []
        if part in ("scheduler", "all") and not warmer.store.fleet.has_leader():
            problems.append("no scheduler leads: start one with `warmer scheduler`")
        workers = [name for name in warmer.store.fleet.live_workers() if not here or is_of_this_host(name)]
        if part in ("worker", "all") and not workers:
            where = " on this host" if here else ""
            problems.append(f"no worker is alive{where}: start one with `warmer worker --import MODULE`")
    except RedisError as error:
        return [f"Redis does not answer: {described(error)}"]
    return problems


# --- trying it out -------------------------------------------------------------------------------------------


@main.command()
@click.option("--seconds", default=45, show_default=True, type=click.IntRange(5), help="How long it runs.")
@click.option("--keep", is_flag=True, help="Run on until Ctrl-C.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 16), help="Worker processes.")
@ends_well
def demo(seconds: int, keep: bool, workers: int) -> None:
    """Watch dashboards over 336,776 real flights being kept warm."""
    from warmer_demo.show import run

    run(seconds=seconds, keep=keep, workers=workers)


for command in (simulate, plan, record):
    main.add_command(command)


def _log(verbose: bool) -> None:
    for_people = Console(stderr=True)
    logging.basicConfig(
        level=logging.WARNING,
        format="%(name)s: %(message)s" if for_people.is_terminal else "%(asctime)s %(levelname)s %(name)s: %(message)s",
        handlers=[RichHandler(console=for_people, show_path=False)] if for_people.is_terminal else None,
    )
    logging.getLogger("warmer").setLevel(logging.INFO if verbose else logging.WARNING)
    for name in ("warmer.scheduler", "warmer.worker"):
        logging.getLogger(name).setLevel(logging.INFO)


if __name__ == "__main__":
    main()
