"""What it costs to remember how targets are read, and what is still remembered after ten million hostile keys.

Each number of targets stands on a private server of its own; every target was missed once, and waits for its review.
Then, in rounds, the reads of a thousand targets are flushed, and a thousand are reviewed: how long does that take for
each, in Redis and altogether? At the end, hostile readers miss ten million keys, each of them once, beside as many
reads of popular targets by Zipf's law: are the hottest hundred still known, in the memory that was configured?

At the end stands what is promised, and whether this run found it held. The exit code is 0 if all of it was, 1 if not.

Run: python benchmarks/histories.py [--quick] [--json]      (needs: pip install 'warmer[bench]')
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from measuring.ending import show
from measuring.ground import as_line, ground
from measuring.promises import Promise, verdict
from measuring.screen import STYLES, steps, wide_console
from measuring.store.history_store import IN_A_FLUSH, Cost, Flood, Library, flooded, median_cost
from measuring.store.store_calls import AT_ONCE

SIZES, QUICK_SIZES = (100_000, 1_000_000), (100_000,)
ROUNDS, QUICK_ROUNDS = 50, 20
HOSTILE, QUICK_HOSTILE = 10_000_000, 100_000
CAPACITY, QUICK_CAPACITY = 100_000, 5_000
"""Of how many targets the flooded server remembers anything; as many are popular."""

MOST_BYTES, MOST_FLUSH_US, LEAST_RECALL, MOST_GROWTH = 64, 15.0, 0.95, 1.05


@dataclass(frozen=True, slots=True)
class Size:
    """What was measured of one number of targets.

    Args:
        targets: How many.
        history_bytes: What is remembered of one.
        review_bytes: Its place in the index of reviews.
        flush: One target of a flush.
        review: One target that is reviewed.
    """

    targets: int
    history_bytes: float
    review_bytes: float
    flush: Cost
    review: Cost


@dataclass(frozen=True, slots=True)
class Outcome:
    """What this run has measured.

    Args:
        ground: What it ran on.
        rounds: How many rounds counted.
        sizes: By number of targets.
        flood: What ten million hostile keys have left.
        capacity: Of how many targets anything was to be remembered then.
    """

    ground: dict[str, str]
    rounds: int
    sizes: list[Size]
    flood: Flood
    capacity: int


def main() -> int:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, no million, and fewer hostile keys")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    outcome = (
        measured(QUICK_SIZES, QUICK_ROUNDS, QUICK_HOSTILE, QUICK_CAPACITY)
        if options.quick
        else measured(SIZES, ROUNDS, HOSTILE, CAPACITY)
    )
    promises = list(judged(outcome))
    return show(options, outcome, promises, as_json=as_json, print_tables=print_tables)


# --- what is measured ------------------------------------------------------------------------------------------
def measured(numbers: Sequence[int], rounds: int, hostile: int, capacity: int) -> Outcome:
    sizes = [measured_size(targets, rounds) for targets in numbers]
    with Library(capacity) as library, steps(f"{hostile:,} hostile keys", hostile // IN_A_FLUSH) as advance:
        flood = flooded(library, hostile, capacity, advance)
        found = ground(library.server, "redis")
    return Outcome(found, rounds, sizes, flood, capacity)


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
    return Size(targets, history_bytes, review_bytes, flush, review)


# --- what is promised ------------------------------------------------------------------------------------------
def judged(outcome: Outcome) -> Iterator[Promise]:
    """Yield each promise, beside what was measured."""
    largest, flood = outcome.sizes[-1], outcome.flood
    most = max(size.history_bytes for size in outcome.sizes)
    yield Promise(f"a history takes at most {MOST_BYTES} bytes", f"{most:.1f}", most <= MOST_BYTES)
    text = f"a flush takes Redis at most {MOST_FLUSH_US:g} us for each target, of {largest.targets:,}"
    yield Promise(text, f"{largest.flush.redis_us:.1f} us", largest.flush.redis_us <= MOST_FLUSH_US)
    text = f"{flood.keys:,} hostile keys leave histories in at most {MOST_BYTES} bytes for each of {outcome.capacity:,}"
    is_bounded = flood.remembered <= outcome.capacity and flood.history_bytes <= MOST_BYTES * outcome.capacity
    yield Promise(text, f"{flood.remembered:,} in {flood.history_bytes / 1e6:.1f} MB", is_bounded)
    text = "all data grows by at most 5 % in the second half of them"
    yield Promise(text, f"{flood.grown:.3f} times", flood.grown <= MOST_GROWTH)
    text = f"the hottest hundred are known all the same: recall of at least {LEAST_RECALL:g}"
    held = min(flood.recall, flood.known) >= LEAST_RECALL
    yield Promise(text, f"{flood.recall:.2f}, histories of {flood.known:.2f}", held)


# --- what is shown ---------------------------------------------------------------------------------------------
def as_json(outcome: Outcome, promises: Sequence[Promise]) -> dict[str, Any]:
    return {
        "surroundings": outcome.ground,
        "rounds": outcome.rounds,
        "sizes": [
            asdict(size) | {"flush": size.flush._asdict(), "review": size.review._asdict()} for size in outcome.sizes
        ],
        "flood": outcome.flood._asdict() | {"capacity": outcome.capacity},
        "promises": [promise.as_json() for promise in promises],
    }


def print_tables(outcome: Outcome, promises: Sequence[Promise]) -> None:
    console = wide_console()
    console.print(as_line(outcome.ground), style="dim")
    table = Table(title="what one target costs; medians of all rounds", title_justify="left", title_style="bold")
    headings = (
        "targets",
        "history, bytes",
        "place in reviews, bytes",
        "flush, us",
        "in Redis",
        "review, us",
        "in Redis",
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    for size in outcome.sizes:
        flush = (f"{size.flush.all_us:.1f}", f"{size.flush.redis_us:.1f}")
        review = (f"{size.review.all_us:.1f}", f"{size.review.redis_us:.1f}")
        row = (f"{size.targets:,}", f"{size.history_bytes:.1f}", f"{size.review_bytes:.1f}", *flush, *review)
        table.add_row(*row, style=STYLES["ours"])
    console.print(table)
    console.print(verdict(promises))


if __name__ == "__main__":
    sys.exit(main())
