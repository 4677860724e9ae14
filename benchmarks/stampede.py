"""Stampedes: computations of one cold key that a thousand readers ask for at once, and the wait of the last reader.

The readers are spread over four processes, 250 threads or tasks each. The computation takes 200 ms and counts itself
in Redis. Each contender has several rounds, each with a new key; the first one opens its connections, and its time does
not count. A contender whose round takes longer than a minute is stopped.

The promise is exactly one computation in every round. The exit code is 0 if it is held, 1 if not.

Run: python benchmarks/stampede.py [--quick] [--json] [--plot FILE]      (rivals: pip install 'warmer[bench]')
"""

import argparse
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from contenders import ASYNC_LIBRARIES, LIBRARIES, OURS, SYNC_LIBRARIES
from contenders.contender import Make, gather
from measuring.charts.bars import Bar, Panel, draw
from measuring.ending import Benchmark
from measuring.environment import as_line, environment
from measuring.promises import Promise
from measuring.reads.crowd import COMPUTE_S, Seat
from measuring.reads.stampedes import LIMIT_S, Entry, Size, Stampede, stampede
from measuring.screen import STYLES, absent_lines, steps, table_of
from warmer.processes.private_server import PrivateServer

FULL, QUICK = Size(readers=1000, processes=4, rounds=5), Size(readers=200, processes=4, rounds=1)


class Outcome(NamedTuple):
    """All that a run brought."""

    environment: dict[str, str]
    size: Size
    absent: dict[str, str]
    stampedes: Sequence[Stampede]


# --- measuring -------------------------------------------------------------------------------------------------
def measured(options: argparse.Namespace) -> Outcome:
    size = QUICK if options.quick else FULL
    with PrivateServer.start() as server:
        sync, absent = entries(compared(SYNC_LIBRARIES, options.quick), False, server.url, size)
        asynchronous, more_absent = entries(compared(ASYNC_LIBRARIES, options.quick), True, server.url, size)
        entered = random.sample([*sync, *asynchronous], len(sync) + len(asynchronous))
        with steps("stampedes", len(entered) * (size.rounds + 1)) as advance:
            stampedes = [stampede(entry, number, size, advance) for number, entry in enumerate(entered)]
        stampedes.sort(key=lambda each: (each.usual_computations, each.last_s))
        return Outcome(environment(*LIBRARIES), size, absent | more_absent, stampedes)


def compared(libraries: Mapping[str, Make], is_quick: bool) -> Mapping[str, Make]:
    """Return the libraries that take part: in a quick run only those of which something is promised."""
    return {OURS: libraries[OURS]} if is_quick else libraries


def entries(libraries: Mapping[str, Make], is_async: bool, url: str, size: Size) -> tuple[list[Entry], dict[str, str]]:
    """Return everyone whose misses are compared, and who is absent."""
    entered: list[Entry] = []
    absent: dict[str, str] = {}
    for library, make in libraries.items():
        contenders, missing = gather({library: make}, url, never_computed)
        absent |= missing
        for contender in contenders:
            if contender.has_misses:
                seat = Seat(is_async, library, contender.name, url, size.readers // size.processes)
                entered.append(Entry(seat, contender.side))
    return entered, absent


def never_computed(key: str) -> None:
    """Stand in where contenders are only listed."""


# --- promises ----------------------------------------------------------------------------------------------------
def judged(outcome: Outcome) -> list[Promise]:
    """Return the promise of each way of warmer, beside its measurement."""
    return [computed_once(each, outcome.size) for each in outcome.stampedes if each.side == "ours"]


def computed_once(brought: Stampede, size: Size) -> Promise:
    text = f"{size.readers:,} readers in {size.processes} processes, one cold key: one computation ({brought.name})"
    counts = ", ".join(map(str, brought.computations))
    failed = f"; {problems_of(brought)}" if brought.problems else ""
    is_held = set(brought.computations) == {1} and not brought.problems and not brought.is_stopped
    return Promise(text, f"{counts} in {len(brought.computations)} rounds{failed}", is_held)


# --- presentation ------------------------------------------------------------------------------------------------
def as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "size": outcome.size._asdict(),
        "compute_s": COMPUTE_S,
        "absent": outcome.absent,
        "stampedes": [each.as_json() for each in outcome.stampedes],
    }


def tables(outcome: Outcome) -> Iterator[RenderableType]:
    yield stampedes_table(outcome)
    yield from absent_lines(outcome.absent)


def stampedes_table(outcome: Outcome) -> Table:
    size = outcome.size
    title = f"{size.readers:,} readers in {size.processes} processes, one cold key that takes {1000 * COMPUTE_S:.0f} ms"
    table = table_of(title, "computations", "least to most", "last reader, ms", "/ computation")
    table.add_column("reads that failed")
    for each in outcome.stampedes:
        spread = f"{min(each.computations)} to {max(each.computations)}"
        last = (f"{1000 * each.last_s:,.0f}", f"{each.ratio:.2f}") if each.seconds else (f"over {LIMIT_S:.0f} s", "")
        row = (f"{each.usual_computations:.0f}", spread, *last, escape(problems_of(each)))
        table.add_row(each.name, *row, style=STYLES[each.side])
    return table


def problems_of(brought: Stampede) -> str:
    said = [f"{count}: {problem}" for problem, count in brought.problems.most_common(2)]
    return ", ".join([*said, f"stopped after {LIMIT_S:.0f} s"] if brought.is_stopped else said)


def plot(outcome: Outcome, file: Path) -> None:
    counts = [
        Bar(each.name, each.side, each.usual_computations, f"{each.usual_computations:,.0f}")
        for each in outcome.stampedes
    ]
    stopped = f"stopped after {LIMIT_S:.0f} s"
    waits = [
        Bar(each.name, each.side, each.ratio, f"{each.ratio:.1f}x" if each.seconds else stopped)
        for each in outcome.stampedes
    ]
    panels = [
        Panel("computations", "median of all rounds", counts),
        Panel("until the last reader has its value", f"x the computation's {1000 * COMPUTE_S:.0f} ms, median", waits),
    ]
    size = outcome.size
    title = f"{size.readers:,} readers in {size.processes} processes ask for one cold key"
    draw(panels, title, as_line(outcome.environment), file)


BENCHMARK = Benchmark(
    __doc__,
    f"{QUICK.readers} readers, {QUICK.rounds + 1} rounds, no rivals",
    measured,
    judged,
    as_json,
    tables,
    plot,
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.run())
