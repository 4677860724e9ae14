"""Cost of read histories in memory and time, and what is left of them after ten million hostile keys.

Each number of targets is on a private server of its own; every target was missed once, and waits for its review. Then,
in rounds, the reads of a thousand targets are flushed, and a thousand are reviewed: how long does each take, in Redis
and in total? At the end, hostile readers miss ten million keys once each, beside as many reads of popular targets by
Zipf's law: are the hottest hundred still known, within the configured memory?

The last table lists the promises, and whether this run kept them. The exit code is 0 if all of it was, 1 if not.

Run: python benchmarks/histories.py [--quick] [--json]      (needs: pip install 'warmer[bench]')
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from rich.table import Table

from measuring.ending import Benchmark
from measuring.environment import environment
from measuring.options import Rounds
from measuring.promises import Promise
from measuring.screen import STYLES, steps
from measuring.store.history_store import IN_A_FLUSH, Cost, Flood, Library, flooded, median_cost
from measuring.store.store_calls import AT_ONCE

ROUNDS = Rounds(usual=50, quick=10)


class Scope(NamedTuple):
    """How much a run measures.

    Args:
        sizes: The numbers of targets.
        hostile: The number of keys that hostile readers miss.
        capacity: The number of histories that the flooded server keeps, and of popular targets.
    """

    sizes: Sequence[int]
    hostile: int
    capacity: int


FULL, QUICK = Scope((100_000, 1_000_000), 10_000_000, 100_000), Scope((10_000,), 30_000, 2_000)

MAX_BYTES, MAX_FLUSH_US, MIN_RECALL, MAX_GROWTH = 64, 15.0, 0.95, 1.05
MAX_FLUSH_RATIO = 26.0


@dataclass(frozen=True, slots=True)
class Size:
    """The figures of one number of targets.

    Args:
        targets: The number.
        history_bytes: Bytes of one history.
        review_bytes: Bytes of its entry in the index of reviews.
        flush: Time of one target in a flush.
        review: Time of one review.
        flush_ratio: Redis' time for a target of a flush, as a multiple of that of a plain script in the same round.
    """

    targets: int
    history_bytes: float
    review_bytes: float
    flush: Cost
    review: Cost
    flush_ratio: float = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The figures of a run.

    Args:
        environment: Of this run.
        rounds: The number of rounds that count.
        sizes: The figures of each number of targets.
        flood: The figures of the hostile keys.
        capacity: The configured number of histories in the flood.
        is_quick: Whether the flush is judged beside a plain script of the same run, not in microseconds.
    """

    environment: dict[str, str]
    rounds: int
    sizes: list[Size]
    flood: Flood
    capacity: int
    is_quick: bool = False


# --- measurements ------------------------------------------------------------------------------------------------
def measured(options: argparse.Namespace) -> Outcome:
    numbers, hostile, capacity = QUICK if options.quick else FULL
    sizes = [measured_size(targets, options.rounds) for targets in numbers]
    with Library(capacity) as library, steps(f"{hostile:,} hostile keys", hostile // IN_A_FLUSH) as advance:
        flood = flooded(library, hostile, capacity, advance)
    return Outcome(environment("redis"), options.rounds, sizes, flood, capacity, options.quick)


def measured_size(targets: int, rounds: int) -> Size:
    with Library(capacity=2 * targets) as library:  # nothing is forgotten
        with steps(f"bringing in {targets:,} targets", targets // AT_ONCE) as advance:
            library.fill(targets, advance)
        history_bytes, review_bytes = library.bytes_of("history") / targets, library.bytes_of("reviews") / targets
        with steps(f"flushes and reviews, {targets:,} targets", rounds) as advance:
            for _ in range(rounds):
                library.take_turn(targets)
                advance()
        timings = library.timings
        flush, review = median_cost(timings.flushes), median_cost(timings.reviews)
        flush_ratio = timings.flush_ratio
    return Size(targets, history_bytes, review_bytes, flush, review, flush_ratio)


# --- promises ----------------------------------------------------------------------------------------------------
def judged(outcome: Outcome) -> Iterator[Promise]:
    """Yield each promise, beside what was measured."""
    largest, flood = outcome.sizes[-1], outcome.flood
    most = max(size.history_bytes for size in outcome.sizes)
    yield Promise(f"a history takes at most {MAX_BYTES} bytes", f"{most:.1f}", most <= MAX_BYTES)
    yield flush_is_cheap(largest, outcome.is_quick)
    text = f"{flood.keys:,} hostile keys leave histories in at most {MAX_BYTES} bytes for each of {outcome.capacity:,}"
    is_bounded = flood.remembered <= outcome.capacity and flood.history_bytes <= MAX_BYTES * outcome.capacity
    yield Promise(text, f"{flood.remembered:,} in {flood.history_bytes / 1e6:.1f} MB", is_bounded)
    text = "all data grows by at most 5 % in the second half of them"
    yield Promise(text, f"{flood.grown:.3f} times", flood.grown <= MAX_GROWTH)
    text = f"the hottest hundred are still known: recall of at least {MIN_RECALL:g}"
    held = min(flood.recall, flood.known) >= MIN_RECALL
    yield Promise(text, f"{flood.recall:.2f}, histories of {flood.known:.2f}", held)


def flush_is_cheap(size: Size, is_quick: bool) -> Promise:
    if is_quick:
        text = f"a flush takes Redis at most {MAX_FLUSH_RATIO:g} times as long as reading and setting a field"
        return Promise(text, f"{size.flush_ratio:.1f} times", size.flush_ratio <= MAX_FLUSH_RATIO, is_noisy=True)
    text = f"a flush takes Redis at most {MAX_FLUSH_US:g} us for each target, of {size.targets:,}"
    return Promise(text, f"{size.flush.redis_us:.1f} us", size.flush.redis_us <= MAX_FLUSH_US)


# --- presentation ------------------------------------------------------------------------------------------------
def as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "rounds": outcome.rounds,
        "sizes": [
            asdict(size) | {"flush": size.flush._asdict(), "review": size.review._asdict()} for size in outcome.sizes
        ],
        "flood": outcome.flood._asdict() | {"capacity": outcome.capacity},
    }


def tables(outcome: Outcome) -> Iterator[Table]:
    table = Table(title="cost of one target; medians of all rounds", title_justify="left", title_style="bold")
    headings = (
        "targets",
        "history, bytes",
        "place in reviews, bytes",
        "flush, us",
        "in Redis",
        "/ plain script",
        "review, us",
        "in Redis",
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    for size in outcome.sizes:
        flush = (f"{size.flush.all_us:.1f}", f"{size.flush.redis_us:.1f}", f"{size.flush_ratio:.1f}")
        review = (f"{size.review.all_us:.1f}", f"{size.review.redis_us:.1f}")
        row = (f"{size.targets:,}", f"{size.history_bytes:.1f}", f"{size.review_bytes:.1f}", *flush, *review)
        table.add_row(*row, style=STYLES["ours"])
    yield table


BENCHMARK = Benchmark(
    __doc__, "fewer rounds, no million, and fewer hostile keys", measured, judged, as_json, tables, rounds=ROUNDS
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.run())
