"""Commands that run the processes of the service: workers and schedulers."""

import os
import sys

import click

from warmer.cli.console_log import log_to_console
from warmer.cli.exits import handle_errors
from warmer.client.default import fleet_runtime
from warmer.errors import SettingsError


def import_arguments(modules: tuple[str, ...]) -> list[str]:
    """Return the arguments that pass the modules on to another `warmer worker`.

    Example:
        >>> import_arguments(("app.tasks",))
        ['--import', 'app.tasks']
    """
    return [argument for module in modules for argument in ("--import", module)]


@click.command()
@click.option("--import", "modules", multiple=True, metavar="MODULE", help="Module that registers the tasks, or "
              "module:function to call. Can be given several times.")  # fmt: skip
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1, 64), help="Number of worker "
              "processes. One that dies is started again.")  # fmt: skip
@click.option("--concurrency", type=click.IntRange(1, 1024), help="Threads per process, for sync functions. "
              "[default: WARMER_CONCURRENCY or 8]")  # fmt: skip
@click.option("--async-concurrency", type=click.IntRange(1, 100_000), help="Concurrent computations of async "
              "functions per process. [default: WARMER_ASYNC_CONCURRENCY or 1000]")  # fmt: skip
@click.option("--isolated-processes", type=click.IntRange(1, 64), help="Child processes per process, for tasks with "
              "isolation='process'. [default: WARMER_ISOLATED_PROCESSES or 2]")  # fmt: skip
@click.option("--shutdown-grace", type=click.FloatRange(min=0), metavar="SECONDS", help="How long running computations "
              "may continue after SIGTERM. [default: WARMER_SHUTDOWN_GRACE_S or 10]")  # fmt: skip
@click.option("--burst", is_flag=True, help="Exit when nothing is left to compute.")
@click.option("--verbose", is_flag=True, help="Log every refresh.")
@click.option("--supervised", is_flag=True, hidden=True)
@handle_errors
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
    """Run a worker: it computes due values, the highest priority first.

    SIGTERM or Ctrl-C stops it gracefully within the shutdown grace plus 2 seconds, with exit code 0. A second one, or
    SIGQUIT, stops it at once, with exit code 128 plus the signal number; other workers repeat its computations. The
    exit code is 2 if a setting or a module cannot be used.

    Example: warmer worker --import shop.tasks --processes 4
    """
    from warmer_workers.main import run_worker
    from warmer_workers.supervisor import Supervisor

    log_to_console(verbose)
    _set_variables(
        concurrency=concurrency,
        async_concurrency=async_concurrency,
        isolated_processes=isolated_processes,
        shutdown_grace_s=shutdown_grace,
    )
    runtime = fleet_runtime()
    if not modules:
        raise SettingsError("a worker needs tasks: give --import MODULE, the module that registers them")
    if processes == 1:
        sys.exit(run_worker(fleet_runtime, modules, burst=burst, is_supervised=supervised))
    flags = [flag for flag, is_given in (("--burst", burst), ("--verbose", verbose)) if is_given]
    arguments = [*import_arguments(modules), *flags]
    supervisor = Supervisor(arguments, processes, runtime.settings.shutdown_grace_s, is_burst=burst)
    sys.exit(supervisor.run())


def _set_variables(**values: float | None) -> None:
    """Set options as environment variables, for this process and its children."""
    for name, value in values.items():
        if value is not None:
            os.environ[f"WARMER_{name.upper()}"] = str(value)


@click.command()
@click.option("--verbose", is_flag=True, help="Log more.")
@handle_errors
def scheduler(verbose: bool) -> None:
    """Run a scheduler: it decides which values are due, and when.

    Run two of them: one leads, and the other takes over when the leader dies.
    """
    log_to_console(verbose)
    runtime = fleet_runtime()
    try:
        from warmer_scheduler.main import run_scheduler
    except ImportError as error:
        raise SettingsError(f"the scheduler needs more packages ({error}): pip install 'warmer[scheduler]'") from error
    run_scheduler(runtime)
