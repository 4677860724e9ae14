"""The command `warmer record`: records a live fleet's reads into a trace file."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from types import FrameType

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from warmer.cli.exits import EXIT_NO, handle_errors
from warmer.client.default import fleet_runtime
from warmer.recording.read_recorder import ReadRecorder, RecordingTotals
from warmer.recording.trace_file import new_trace

MAX_MINUTES = 7 * 1440


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--minutes", default=10.0, show_default=True, type=click.FloatRange(0, MAX_MINUTES, min_open=True),
              help="Duration; Ctrl-C ends it sooner.")  # fmt: skip
@click.option("--sample", default=0.1, show_default=True, type=click.FloatRange(0, 1, min_open=True), metavar="PART",
              help="The part of all targets whose reads are recorded.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@handle_errors
def record(file: Path, minutes: float, sample: float, as_json: bool) -> None:
    """Record a live fleet's reads as a trace, for `warmer simulate`.

    FILE must not exist yet, and is compressed if its name ends in .gz. Its lines are time_s,key,reads,cost_s; keys are
    digests with a random salt, which is not kept. Ctrl-C ends the recording and keeps the reads so far. The exit code
    is 1 if nothing was recorded.
    """
    recorder = ReadRecorder(fleet_runtime().store, sample)
    _record(recorder, file, 60 * minutes)
    totals = recorder.totals
    click.echo(totals.model_dump_json(indent=2, ensure_ascii=True) if as_json else _line(totals))
    if not totals.rows:
        click.echo("nothing was recorded: check that targets of a task are read, by processes that flush", err=True)
        sys.exit(EXIT_NO)


def _line(totals: RecordingTotals) -> str:
    """Return the totals in one line.

    Example:
        >>> _line(RecordingTotals(reads=1234, rows=1000, targets=77, dropped=0, seconds=60.0, sample=0.1))
        '1,234 reads of 77 targets in 60 s, from a sample of 10 % of all targets; 0 dropped'
    """
    return (
        f"{totals.reads:,} reads of {totals.targets:,} targets in {totals.seconds:.0f} s, from a sample of "
        f"{100 * totals.sample:g} % of all targets; {totals.dropped:,} dropped"
    )


def _record(recorder: ReadRecorder, file: Path, seconds: float) -> None:
    console = Console(stderr=True)
    columns = TextColumn("recording"), BarColumn(), TextColumn("{task.fields[so_far]}"), TimeRemainingColumn()
    with (
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
        _stopped_by_signals() as stop,
        recorder.recording(),
        new_trace(file) as write,
    ):
        bar = progress.add_task("", total=seconds, so_far="")

        def show(so_far: RecordingTotals) -> None:
            progress.update(
                bar, completed=so_far.seconds, so_far=f"{so_far.reads:,} reads of {so_far.targets:,} targets"
            )

        recorder.run(seconds, stop, write, show)


@contextmanager
def _stopped_by_signals() -> Iterator[Event]:
    """Let the first Ctrl-C or SIGTERM set an event; a second one has its usual effect."""
    stop = Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()
        restore()

    for number in before:
        signal.signal(number, on_signal)
    try:
        yield stop
    finally:
        restore()
