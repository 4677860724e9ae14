"""Shows a run of `warm_many` to people: a bar while it goes on, and what came of it."""

from contextlib import nullcontext

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from warmer.errors import WaitTimeoutError
from warmer.on_demand.bulk.bulk_warming import BulkWarming
from warmer.results import BulkOutcome

LOOK_S = 0.1
MOST_SHOWN = 5


def watch(handle: BulkWarming, console: Console) -> BulkOutcome:
    """Wait until all has ended; on a terminal with a bar.

    Args:
        handle: The run.
        console: Where the bar is shown.

    Raises:
        Exception: what the iterable raised.
    """
    bar = Progress(
        SpinnerColumn(),
        TextColumn(handle.task_id, markup=False),
        BarColumn(),
        TextColumn("{task.fields[standing]}", markup=False),
        console=console,
        transient=True,
    )
    is_shown = console.is_terminal
    with bar if is_shown else nullcontext():
        line = bar.add_task("", total=handle.total, standing="")
        while True:
            try:
                return handle.wait(LOOK_S)
            except WaitTimeoutError:
                _move(bar, line, handle)


def _move(bar: Progress, line: TaskID, handle: BulkWarming) -> None:
    bar.update(line, completed=handle.done, total=handle.total, standing=standing(handle))


def standing(handle: BulkWarming) -> str:
    """Return how far a run is, in one line: items done, pace, time left, failures.

    Args:
        handle: The run.
    """
    of = "" if handle.total is None else f"/{handle.total:,}"
    left = "" if handle.eta_s is None else f", {_time(handle.eta_s)} left"
    failed = f", {handle.failed:,} failed" if handle.failed else ""
    return f"{handle.done:,}{of}, {handle.rate_per_s:,.0f}/s{left}{failed}"


def summary(outcome: BulkOutcome) -> str:
    """Return what came of a run, in one line.

    Example:
        >>> summary(BulkOutcome(total=10, warmed=8, fresh=1, failed=1, cancelled=0, errors={}, duration_s=2.0))
        'warmed 8, fresh 1, failed 1 of 10 in 2.0 s (5/s)'
    """
    of = "" if outcome.total is None else f" of {outcome.total:,}"
    cancelled = f", cancelled {outcome.cancelled:,}" if outcome.cancelled else ""
    done = outcome.warmed + outcome.fresh + outcome.failed
    pace = f" ({done / outcome.duration_s:,.0f}/s)" if outcome.duration_s > 0 else ""
    return (
        f"warmed {outcome.warmed:,}, fresh {outcome.fresh:,}, failed {outcome.failed:,}{cancelled}{of} "
        f"in {outcome.duration_s:.1f} s{pace}"
    )


def first_errors(outcome: BulkOutcome) -> list[str]:
    """Return the first failures, a line each, and how many more there are.

    Example:
        >>> first_errors(BulkOutcome(total=2, warmed=0, fresh=0, failed=2, cancelled=0, errors={"a": "ValueError: no"},
        ...                          duration_s=1.0))
        ['a: ValueError: no', 'and 1 more']
    """
    shown = list(outcome.errors.items())[:MOST_SHOWN]
    more = outcome.failed - len(shown)
    return [f"{name}: {error}" for name, error in shown] + ([f"and {more:,} more"] if more > 0 else [])


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
