"""One cold key, a thousand readers at once: how often is it computed, and how long does the last reader wait?

The readers are spread over four processes, 250 threads or tasks each. The computation takes 200 ms and counts itself
in Redis. Each contender has several rounds, each with a new key; the first one opens its connections, and its time does
not count. A contender whose round takes longer than a minute is stopped.

What is promised is exactly one computation in every round. The exit code is 0 if it was, 1 if not.

Run: python benchmarks/stampede.py [--quick] [--json] [--plot FILE]      (rivals: pip install 'warmer[bench]')
"""

import argparse
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.markup import escape
from rich.table import Table

from contenders import ASYNC_LIBRARIES, SYNC_LIBRARIES
from contenders.contender import Make, gather
from measuring.charts.bars import Bar, Panel, check_can_draw, draw
from measuring.ending import show
from measuring.environment import in_one_line, surroundings
from measuring.promises import Promise, verdict
from measuring.reads.crowd import COMPUTE_S, Seat
from measuring.reads.stampedes import LIMIT_S, Entry, Size, Stampede, stampede
from measuring.screen import STYLES, print_absent, steps, table_of, wide_console
from warmer.processes.private_server import PrivateServer

FULL, QUICK = Size(readers=1000, processes=4, rounds=5), Size(readers=200, processes=4, rounds=2)


class Outcome(NamedTuple):
    """All that a run brought."""

    surroundings: dict[str, str]
    size: Size
    absent: dict[str, str]
    stampedes: Sequence[Stampede]


def main() -> int:
    """Measure, and print what was measured."""
    options = parsed_options()
    if options.plot:
        check_can_draw()
    outcome = measured(QUICK if options.quick else FULL)
    promises = judged(outcome)
    return show(options, outcome, promises, as_json=as_json, print_tables=print_tables, plot=plot)


def parsed_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK.readers} readers, {QUICK.rounds} rounds")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw a picture of them, such as stampede.svg")
    return parser.parse_args()


# --- measuring -------------------------------------------------------------------------------------------------
def measured(size: Size) -> Outcome:
    with PrivateServer.start() as server:
        sync, absent = entries(SYNC_LIBRARIES, False, server.url, size)
        asynchronous, more_absent = entries(ASYNC_LIBRARIES, True, server.url, size)
        entered = random.sample([*sync, *asynchronous], len(sync) + len(asynchronous))
        with steps("stampedes", len(entered) * (size.rounds + 1)) as advance:
            stampedes = [stampede(entry, number, size, advance) for number, entry in enumerate(entered)]
        stampedes.sort(key=lambda each: (each.usual_computations, each.last_s))
        return Outcome(surroundings(server), size, absent | more_absent, stampedes)


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


# --- what is promised ------------------------------------------------------------------------------------------
def judged(outcome: Outcome) -> list[Promise]:
    """Return what is promised of each of ours, beside what was measured."""
    return [computed_once(each, outcome.size) for each in outcome.stampedes if each.side == "ours"]


def computed_once(brought: Stampede, size: Size) -> Promise:
    text = f"{size.readers:,} readers in {size.processes} processes, one cold key: one computation ({brought.name})"
    counts = ", ".join(map(str, brought.computations))
    failed = f"; {problems_of(brought)}" if brought.problems else ""
    is_held = set(brought.computations) == {1} and not brought.problems and not brought.is_stopped
    return Promise(text, f"{counts} in {len(brought.computations)} rounds{failed}", is_held)


# --- what is shown ---------------------------------------------------------------------------------------------
def as_json(outcome: Outcome, promises: Sequence[Promise]) -> dict[str, Any]:
    return {
        "surroundings": outcome.surroundings,
        "size": outcome.size._asdict(),
        "compute_s": COMPUTE_S,
        "absent": outcome.absent,
        "stampedes": [each.as_json() for each in outcome.stampedes],
        "promises": [promise.as_json() for promise in promises],
    }


def print_tables(outcome: Outcome, promises: Sequence[Promise]) -> None:
    console = wide_console()
    console.print(in_one_line(outcome.surroundings), style="dim")
    console.print(stampedes_table(outcome))
    print_absent(console, outcome.absent)
    console.print(verdict(promises))


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
    draw(panels, title, in_one_line(outcome.surroundings), file)


if __name__ == "__main__":
    sys.exit(main())
