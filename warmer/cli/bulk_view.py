"""Terminal view of a bulk warming: a progress bar while it runs, and its outcome in lines."""

from contextlib import nullcontext

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from warmer.errors import WaitTimeoutError
from warmer.on_demand.bulk.bulk_warming import BulkWarming
from warmer.results import BulkOutcome

REDRAW_INTERVAL_S = 0.1
MAX_SHOWN_ERRORS = 5


def wait_with_bar(handle: BulkWarming, console: Console) -> BulkOutcome:
    """Wait for the outcome, with a progress bar if the console is a terminal.

    Raises:
        Exception: the iterable of items raised it.
    """
    bar = Progress(
        SpinnerColumn(),
        TextColumn(handle.task_id, markup=False),
        BarColumn(),
        TextColumn("{task.fields[progress]}", markup=False),
        console=console,
        transient=True,
    )
    is_shown = console.is_terminal
    with bar if is_shown else nullcontext():
        line = bar.add_task("", total=handle.total, progress="")
        while True:
            try:
                return handle.wait(REDRAW_INTERVAL_S)
            except WaitTimeoutError:
                _update(bar, line, handle)


def _update(bar: Progress, line: TaskID, handle: BulkWarming) -> None:
    bar.update(line, completed=handle.done, total=handle.total, progress=progress_line(handle))


def progress_line(handle: BulkWarming) -> str:
    """Return the progress in one line: items done, rate, time left, failures."""
    of = "" if handle.total is None else f"/{handle.total:,}"
    left = "" if handle.eta_s is None else f", {_time(handle.eta_s)} left"
    failed = f", {handle.failed:,} failed" if handle.failed else ""
    return f"{handle.done:,}{of}, {handle.rate_per_s:,.0f}/s{left}{failed}"


def summary(outcome: BulkOutcome) -> str:
    """Return the outcome in one line.

    Example:
        >>> summary(BulkOutcome(total=10, warmed=8, fresh=1, failed=1, cancelled=0, errors={}, duration_s=2.0))
        'warmed 8, fresh 1, failed 1 of 10 in 2.0 s (5/s)'
    """
    of = "" if outcome.total is None else f" of {outcome.total:,}"
    cancelled = f", cancelled {outcome.cancelled:,}" if outcome.cancelled else ""
    done = outcome.warmed + outcome.fresh + outcome.failed
    rate = f" ({done / outcome.duration_s:,.0f}/s)" if outcome.duration_s > 0 else ""
    return (
        f"warmed {outcome.warmed:,}, fresh {outcome.fresh:,}, failed {outcome.failed:,}{cancelled}{of} "
        f"in {outcome.duration_s:.1f} s{rate}"
    )


def first_errors(outcome: BulkOutcome) -> list[str]:
    """Return the first failures, one per line, and the number of further ones.

    Example:
        >>> first_errors(BulkOutcome(total=2, warmed=0, fresh=0, failed=2, cancelled=0, errors={"a": "ValueError: no"},
        ...                          duration_s=1.0))
        ['a: ValueError: no', 'and 1 more']
    """
    shown = list(outcome.errors.items())[:MAX_SHOWN_ERRORS]
    more = outcome.failed - len(shown)
    return [f"{name}: {error}" for name, error in shown] + ([f"and {more:,} more"] if more > 0 else [])


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
