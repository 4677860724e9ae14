"""Keys that worker processes warm per second, beside one RQ job for each key and beside bare SETs.

In one run, on a private server, in rounds that measure every way once, in a shuffled order:

- values that cost nothing: one RQ job per key on SimpleWorker (= 1.0) and on the Worker that forks; ours on one worker
  process, on two, and in batches of 100; and the floor, redis-py's pipeline of SETs, 500 at a time;
- values that take a wait of 20 ms: the same RQ job with the wait (= 1.0); ours on 32 and on 128 threads, where the
  ceiling is threads / 20 ms, and as 1,000 coroutines at once.

Everything is asked for before a worker starts. RQ's clock runs while its worker works; ours from the first progress
that the fleet's counter shows to the last key. At the end stand the promises, and whether this run found them held.
The exit code is 0 if all of them were, 1 if not.

Run: python benchmarks/warm_throughput.py [--quick] [--json] [--plot FILE]      (needs: pip install 'warmer[bench]')
"""

import argparse
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from measuring.charts.bars import Bar, Panel, draw
from measuring.ending import Benchmark
from measuring.environment import as_line, environment
from measuring.figures import Figure, Samples, figures_of
from measuring.options import Rounds
from measuring.pace import ratio_of
from measuring.promises import Promise, not_judged
from measuring.screen import STYLES, steps, table_of
from measuring.warming.throughputs import Setting, Way, bare_sets, bare_waits, one_job_per_key, workers_warming
from measuring.warming.warming_tasks import ASYNC_WAIT, BATCH, IN_BATCHES, NO_OP, WAIT, WAIT_S
from warmer.processes.private_server import PrivateServer

ROUNDS = Rounds(usual=3, quick=1)
QUICK_PART = 2
"""A quick run warms this part of the keys."""

THREADS = 32
MANY_THREADS = 128
COROUTINES = 1000

MIN_OF_RQ = 50
MIN_OF_BARE = 1 / 8
MIN_OF_CEILING = 0.95
QUICK_MIN_OF_RQ, QUICK_MIN_OF_BARE = 20, 1 / 16
"""A quick run warms few keys, and other load slows a worker and Redis, which share two cores, more than RQ alone."""
QUICK_MIN_OF_THREADS = 0.8

SIMPLE, FORKING = "RQ SimpleWorker, a job per key", "RQ Worker (forks), a job per key"
BARE = "bare SETs, redis-py pipeline"
BARE_THREADS = "bare threads, no Redis"
ONE_WORKER, TWO_WORKERS, BATCHES = "warmer, one worker", "warmer, two workers", f"warmer, batches of {BATCH}"
WAITING = {threads: f"warmer, {threads} threads" for threads in (THREADS, MANY_THREADS)}
WAITING_ASYNC = f"warmer, {COROUTINES:,} coroutines"


class Work(NamedTuple):
    """Values to be warmed, and the ways to have that done."""

    name: str
    ways: Sequence[Way]

    def only(self, *names: str) -> "Work":
        """Return the same work for some of the ways."""
        return self._replace(ways=[way for way in self.ways if way.name in names])


class Measured(NamedTuple):
    """The measurements of one work, in microseconds per key."""

    work: Work
    samples: Samples

    @property
    def figures(self) -> list[Figure]:
        return figures_of(self.samples, {way.name: way.side for way in self.work.ways})

    def keys_per_s(self, name: str) -> float:
        return next(1e6 / figure.median_us for figure in self.figures if figure.name == name)

    def times(self, name: str, base: str) -> float:
        """The keys per second as a multiple of those of another way."""
        return 1 / ratio_of(self.samples, name, base)

    def ceiling_per_s(self, name: str) -> float | None:
        return next(way.ceiling_per_s for way in self.work.ways if way.name == name)


class Outcome(NamedTuple):
    """All that a run brought."""

    environment: dict[str, str]
    free: Measured
    waiting: Measured
    is_quick: bool = False


# --- measurements ------------------------------------------------------------------------------------------------
def free_work(part: int = 1) -> Work:
    """Values that cost nothing: what is left is the way there."""
    ways = [
        Way(BARE, "floor", 40_000 // part, bare_sets),
        Way(SIMPLE, "base", 1500 // part, one_job_per_key("SimpleWorker", "measuring.warming.rq_jobs.compute_and_set")),
        Way(FORKING, "rival", 150 // part, one_job_per_key("Worker", "measuring.warming.rq_jobs.compute_and_set")),
        Way(ONE_WORKER, "ours", 40_000 // part, workers_warming(NO_OP, Setting(1, THREADS))),
        Way(TWO_WORKERS, "ours", 40_000 // part, workers_warming(NO_OP, Setting(2, THREADS))),
        Way(BATCHES, "ours", 40_000 // part, workers_warming(IN_BATCHES, Setting(1, THREADS))),
    ]
    return Work("values that cost nothing", ways)


def waiting_work(part: int = 1) -> Work:
    """Values that take a wait: what counts is how many wait at once."""
    ways = [
        Way(
            SIMPLE,
            "base",
            200 // part,
            one_job_per_key("SimpleWorker", "measuring.warming.rq_jobs.wait_and_set"),
            1 / WAIT_S,
        ),
        Way(
            WAITING_ASYNC,
            "ours",
            40_000 // part,
            workers_warming(ASYNC_WAIT, Setting(1, COROUTINES)),
            COROUTINES / WAIT_S,
        ),
    ]
    for threads, name in WAITING.items():
        ceiling = threads / WAIT_S
        keys = round(4 * ceiling) // part
        ways.append(Way(name, "ours", keys, workers_warming(WAIT, Setting(1, threads)), ceiling))
    return Work(f"values that take a wait of {1000 * WAIT_S:.0f} ms", ways)


def quick_works() -> list[Work]:
    """The ways of which something is promised, with fewer keys, beside what they are compared with in the same run."""
    free, waiting = free_work(QUICK_PART), waiting_work(QUICK_PART)
    bare_threads = Way(BARE_THREADS, "floor", 2 * round(THREADS / WAIT_S), bare_waits(THREADS))
    return [
        free.only(BARE, SIMPLE, ONE_WORKER),
        Work(waiting.name, [*waiting.only(SIMPLE, WAITING[THREADS]).ways, bare_threads]),
    ]


def measured(options: argparse.Namespace) -> Outcome:
    works = quick_works() if options.quick else [free_work(), waiting_work()]
    with PrivateServer.start() as server:
        free, waiting = in_rounds(works, server.url, options.rounds)
    return Outcome(environment("redis", "rq", "orjson"), free, waiting, options.quick)


def in_rounds(works: Sequence[Work], url: str, rounds: int) -> list[Measured]:
    """Give every way its turn in each round, in a shuffled order: the machine's slow and quick spells hit all alike."""
    samples: dict[str, dict[str, list[float]]] = {work.name: {way.name: [] for way in work.ways} for work in works}
    turns = [(work, way) for work in works for way in work.ways]
    with steps("warming", rounds * len(turns)) as advance:
        for _ in range(rounds):
            for work, way in random.sample(turns, len(turns)):
                samples[work.name][way.name].append(way.us_per_key(url))
                advance()
    return [Measured(work, samples[work.name]) for work in works]


# --- promises ----------------------------------------------------------------------------------------------------
def judged(outcome: Outcome) -> Iterator[Promise]:
    """Yield each promise, beside what was measured."""
    free, waiting = outcome.free, outcome.waiting
    of_rq, of_bare = free.times(ONE_WORKER, SIMPLE), free.times(ONE_WORKER, BARE)
    is_quick = outcome.is_quick
    least, least_of_bare = (QUICK_MIN_OF_RQ, QUICK_MIN_OF_BARE) if is_quick else (MIN_OF_RQ, MIN_OF_BARE)
    text = f"one worker warms at least {least} times as many keys as one RQ job per key on SimpleWorker"
    yield Promise(text, f"{of_rq:.1f} times", of_rq >= least, is_noisy=True)
    text = f"one worker warms at least 1/{1 / least_of_bare:.0f} of what bare pipelines set"
    yield Promise(text, f"1/{1 / of_bare:.1f}", of_bare >= least_of_bare, is_noisy=True)
    yield from quick_waits(waiting) if is_quick else waits(waiting)


def waits(waiting: Measured) -> Iterator[Promise]:
    for threads, name in WAITING.items():
        share = share_of_ceiling(waiting, name)
        yield Promise(ceiling_text(threads), f"{share:.1%}", share >= MIN_OF_CEILING, is_noisy=True)


def quick_waits(waiting: Measured) -> Iterator[Promise]:
    """Judge few threads beside bare ones of the same run: a ceiling by the clock would need a quiet machine."""
    share = waiting.times(WAITING[THREADS], BARE_THREADS)
    text = f"{THREADS} threads that wait {1000 * WAIT_S:.0f} ms reach {QUICK_MIN_OF_THREADS:.0%} of bare threads"
    yield Promise(text, f"{share:.1%}", share >= QUICK_MIN_OF_THREADS, is_noisy=True)
    why = "so many threads need a core of their own, which a quick run may not have"
    yield not_judged(ceiling_text(MANY_THREADS), why)


def ceiling_text(threads: int) -> str:
    return f"{threads} threads that wait {1000 * WAIT_S:.0f} ms reach {MIN_OF_CEILING:.0%} of their ceiling"


def share_of_ceiling(brought: Measured, name: str) -> float:
    return brought.keys_per_s(name) / (brought.ceiling_per_s(name) or float("inf"))


# --- presentation ------------------------------------------------------------------------------------------------
def as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "works": {brought.work.name: rows_of(brought) for brought in (outcome.free, outcome.waiting)},
    }


def rows_of(brought: Measured) -> list[dict[str, Any]]:
    return [
        {
            "name": figure.name,
            "side": figure.side,
            "keys": next(way.keys for way in brought.work.ways if way.name == figure.name),
            "keys_per_s": [round(1e6 / us, 1) for us in brought.samples[figure.name]],
            "keys_per_s_median": round(1e6 / figure.median_us, 1),
            "times_rq_simple_worker": round(1 / figure.ratio, 3),
            "ceiling_per_s": brought.ceiling_per_s(figure.name),
        }
        for figure in brought.figures
    ]


def tables(outcome: Outcome) -> Iterator[Table]:
    yield free_table(outcome.free)
    yield waiting_table(outcome.waiting)


def free_table(brought: Measured) -> Table:
    table = table_of(title_of(brought), "keys/s", "least to most", "/ RQ's", "/ bare SETs")
    for figure in brought.figures:
        of_bare = f"1/{brought.times(BARE, figure.name):,.1f}"
        table.add_row(figure.name, *cells_of(brought, figure), of_bare, style=STYLES[figure.side])
    return table


def waiting_table(brought: Measured) -> Table:
    table = table_of(title_of(brought), "keys/s", "least to most", "/ RQ's", "ceiling", "reached")
    for figure in brought.figures:
        ceiling_per_s = brought.ceiling_per_s(figure.name)
        ceiling = f"{ceiling_per_s:,.0f}" if ceiling_per_s else ""
        reached = f"{share_of_ceiling(brought, figure.name):.1%}" if ceiling_per_s else ""
        table.add_row(figure.name, *cells_of(brought, figure), ceiling, reached, style=STYLES[figure.side])
    return table


def title_of(brought: Measured) -> str:
    return f"warming {brought.work.name}  ({SIMPLE} = 1.0)"


def cells_of(brought: Measured, figure: Figure) -> tuple[str, str, str]:
    slowest, quickest = (1e6 / us(brought.samples[figure.name]) for us in (max, min))
    return f"{1e6 / figure.median_us:,.0f}", f"{slowest:,.0f} to {quickest:,.0f}", f"{1 / figure.ratio:,.1f}"


def plot(outcome: Outcome, file: Path) -> None:
    panels = [panel(brought) for brought in (outcome.free, outcome.waiting)]
    draw(panels, "Keys warmed per second", as_line(outcome.environment), file)


def panel(brought: Measured) -> Panel:
    bars = [
        Bar(figure.name, figure.side, 1e6 / figure.median_us, label_of(brought, figure)) for figure in brought.figures
    ]
    ceiling = "; % of the ceiling" if any(way.ceiling_per_s for way in brought.work.ways) else ""
    return Panel(brought.work.name, f"keys per second (median); x RQ SimpleWorker{ceiling}", bars)


def label_of(brought: Measured, figure: Figure) -> str:
    has_ceiling = brought.ceiling_per_s(figure.name) is not None
    reached = f"   {share_of_ceiling(brought, figure.name):.0%}" if has_ceiling else ""
    return f"{1e6 / figure.median_us:,.0f}   {1 / figure.ratio:,.1f}x{reached}"


BENCHMARK = Benchmark(
    __doc__, "one round, with fewer keys and without rivals", measured, judged, as_json, tables, plot, ROUNDS
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.run())
