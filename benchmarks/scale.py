"""The cost of registered targets, from ten thousand to a million: memory, ticks, claims and new requests.

Each number of targets stands on a private server of its own. Every target has come the whole way through the store
once: it waits for its next time, its reads are known, and its last refresh is still to be judged. Then, in rounds in
which each number has its turn, a thousand targets fall due: how long does one tick take, and how long do claims take,
of 32 and of 500? Beside them, in the same run: one job of stock rq-scheduler for each key, for the smallest number.

At the end stand the promises, and whether this run found them held. The exit code is 0 if all of them were, 1 if not.

Run: python benchmarks/scale.py [--quick] [--json] [--plot FILE]      (needs: pip install 'warmer[bench]')
"""

import argparse
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import RenderableType
from rich.table import Table

from measuring.charts.curves import Curves, draw_curves
from measuring.ending import Benchmark
from measuring.environment import as_line, environment
from measuring.options import Rounds
from measuring.pace import p99, ratio_of
from measuring.promises import Promise
from measuring.screen import STYLES, absent_lines, steps
from measuring.store.population import DUE, FEW, MANY, Population, in_turns
from measuring.store.stock_schedule import Stock, stock_schedule
from measuring.store.store_calls import AT_ONCE

SIZES, QUICK_SIZES = (10_000, 100_000, 1_000_000), (6_250, 62_500)
"""62,500 targets fill hash tables as far as a million do, so that each costs as many bytes."""
ROUNDS = Rounds(usual=50, quick=8)

QUICK_HISTORIES = 0.1
"""The share of targets whose history is remembered: by default 100,000 of a million."""

MAX_BYTES = 400
MAX_SLOWDOWN = 2.0
STOCK = "rq-scheduler"
PARTS = 5


@dataclass(frozen=True, slots=True)
class Size:
    """The measurements of one number of targets.

    Args:
        targets: How many.
        bytes_each: The control data that one costs.
        parts: The same by the largest keys.
        asked_per_s: How many new ones one process asks for in a second.
        tick_ms: One tick with a thousand due; median of all rounds.
        slowdown: The same as a multiple of that of the smallest number, in the same rounds.
        claim_few_p99_ms: A claim of 32.
        claim_many_p99_ms: A claim of 500.
    """

    targets: int
    bytes_each: float
    parts: Mapping[str, float]
    asked_per_s: float
    tick_ms: float
    slowdown: float
    claim_few_p99_ms: float
    claim_many_p99_ms: float


class Outcome(NamedTuple):
    """All that a run brought, the smallest number first."""

    environment: dict[str, str]
    rounds: int
    sizes: Sequence[Size]
    stock: Stock | None
    absent: Mapping[str, str]


# --- measurements ------------------------------------------------------------------------------------------------
def measured(options: argparse.Namespace) -> Outcome:
    numbers, rounds = QUICK_SIZES if options.quick else SIZES, options.rounds
    stock, absent = (None, {}) if options.quick else measured_stock(numbers[0])
    with ExitStack() as stack:
        share = QUICK_HISTORIES if options.quick else None
        populations = [stack.enter_context(Population(targets, share)) for targets in numbers]
        memory = [filled(population) for population in populations]
        with steps(f"a tick and claims, {DUE:,} due", (rounds + 1) * len(populations)) as advance:
            in_turns(populations, rounds, advance)
        ticks = {str(population.targets): population.timings.ticks for population in populations}
        sizes = [
            Size(
                population.targets,
                *costs,
                population.asked_per_s,
                statistics.median(population.timings.ticks),
                ratio_of(ticks, str(population.targets), str(numbers[0])),
                p99(population.timings.claims[FEW]),
                p99(population.timings.claims[MANY]),
            )
            for population, costs in zip(populations, memory, strict=True)
        ]
    return Outcome(environment("redis", "rq", "rq-scheduler"), rounds, sizes, stock, absent)


def filled(population: Population) -> tuple[float, Mapping[str, float]]:
    """Bring its targets in; returns the bytes that each costs, and those of the largest keys."""
    with steps(f"bringing in {population.targets:,} targets", population.targets // AT_ONCE) as advance:
        population.fill(advance)
    return population.bytes_each, population.largest_parts(PARTS)


def measured_stock(jobs: int) -> tuple[Stock | None, dict[str, str]]:
    """Measure the neighbour, if it is installed."""
    try:
        return stock_schedule(jobs), {}
    except ImportError as error:
        return None, {STOCK: f"not installed ({error}); run: pip install 'warmer[bench]'"}


# --- promises ----------------------------------------------------------------------------------------------------
def judged(outcome: Outcome) -> Iterator[Promise]:
    """Yield each promise, beside what was measured."""
    smallest, largest = outcome.sizes[0], outcome.sizes[-1]
    text = f"of {largest.targets:,} registered targets, each costs at most {MAX_BYTES} bytes of control data"
    yield Promise(text, f"{largest.bytes_each:.0f}", largest.bytes_each <= MAX_BYTES)
    text = (
        f"a tick with {DUE:,} due takes at {largest.targets:,} targets at most {MAX_SLOWDOWN:g} times as long as at "
        f"{smallest.targets:,}"
    )
    yield Promise(text, f"{largest.slowdown:.2f} times", largest.slowdown <= MAX_SLOWDOWN, is_noisy=True)


# --- presentation ------------------------------------------------------------------------------------------------
def as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "rounds": outcome.rounds,
        "due": DUE,
        "sizes": [rounded(asdict(size)) for size in outcome.sizes],
        "rq_scheduler": outcome.stock and rounded(outcome.stock._asdict()),
        "absent": dict(outcome.absent),
    }


def rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: rounded(part) for name, part in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def tables(outcome: Outcome) -> Iterator[RenderableType]:
    yield sizes_table(outcome)
    yield parts_table(outcome.sizes)
    yield from absent_lines(outcome.absent)


def sizes_table(outcome: Outcome) -> Table:
    table = Table(
        title=f"what registered targets cost; {DUE:,} due in each tick", title_justify="left", title_style="bold"
    )
    numbers = ("targets", "bytes each", "asked for /s", "tick, ms", "/ smallest", f"claim {FEW}, p99 ms", f"{MANY}")
    table.add_column("")
    for heading in numbers:
        table.add_column(heading, justify="right")
    for size in outcome.sizes:
        claims = (f"{size.claim_few_p99_ms:.2f}", f"{size.claim_many_p99_ms:.2f}")
        tick = (f"{size.tick_ms:.2f}", f"{size.slowdown:.2f}")
        row = (f"{size.targets:,}", f"{size.bytes_each:.0f}", f"{size.asked_per_s:,.0f}", *tick, *claims)
        table.add_row("warmer", *row, style=STYLES["ours"])
    if outcome.stock is not None:
        stock, smallest = outcome.stock, outcome.sizes[0]
        tick = (f"{stock.tick_ms:.2f}", f"{stock.tick_ms / smallest.tick_ms:.2f}")
        row = (f"{stock.jobs:,}", f"{stock.bytes_each:.0f}", f"{stock.scheduled_per_s:,.0f}", *tick, "", "")
        table.add_row(f"{STOCK}, a job per key", *row, style=STYLES["rival"])
    return table


def parts_table(sizes: Sequence[Size]) -> Table:
    table = Table("bytes of each target in", title="where the bytes are", title_justify="left", title_style="bold")
    for size in sizes:
        table.add_column(f"{size.targets:,}", justify="right")
    for name in sizes[-1].parts:
        table.add_row(name, *(f"{size.parts.get(name, 0.0):.0f}" for size in sizes))
    return table


def plot(outcome: Outcome, file: Path) -> None:
    sizes = outcome.sizes
    charts = [
        Curves("control data", "bytes for each target", {"": [size.bytes_each for size in sizes]}, MAX_BYTES),
        Curves("asking for new targets", "targets per second", {"": [size.asked_per_s for size in sizes]}),
        Curves(f"one tick, {DUE:,} targets due", "ms, median", {"": [size.tick_ms for size in sizes]}),
        Curves(
            "claims",
            "ms, 99th percentile",
            {
                f"{MANY} targets": [size.claim_many_p99_ms for size in sizes],
                f"{FEW} targets": [size.claim_few_p99_ms for size in sizes],
            },
        ),
    ]
    numbers = [size.targets for size in sizes]
    note = as_line(outcome.environment)
    draw_curves(charts, numbers, "registered targets", "What registered targets cost", note, file)


BENCHMARK = Benchmark(
    __doc__, f"{ROUNDS.quick} rounds, fewer targets, no rq-scheduler", measured, judged, as_json, tables, plot, ROUNDS
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.run())
