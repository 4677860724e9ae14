"""Time from registration to a warm entry on an idle system, beside the same value set by plain RQ.

Each way has a worker process compute a value, and is timed until the value is found in Redis. Each round measures every
way once, in a shuffled order:

- RQ: one job for one key on RQ's own worker, which forks, computes and SETs (= 1.0);
- registration: `Warmer.register` of a task that nobody knew, until its entry can be read;
- by hand: `Warmer.warm` of a registered task, forced;
- rq-scheduler: RQ's job scheduled for now, with the shortest interval that stock rq-scheduler allows (1 s).

The workers wait for work when a turn begins: a drain of warmer lives for a minute and looks for work every 40 ms. Each
turn begins after a pause of random length, so that it meets any moment between two looks.

At the end stand the promises, and whether this run found them held. The exit code is 0 if all of them were, 1 if not.

Run: python benchmarks/warm_latency.py [--quick] [--json] [--rounds N]      (needs: pip install 'warmer[bench]')
"""

import argparse
import random
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from rich.table import Table

from measuring.ending import Benchmark
from measuring.environment import environment
from measuring.figures import Figure, Samples, figures_of
from measuring.options import Rounds
from measuring.pace import p99
from measuring.promises import Promise, not_judged
from measuring.screen import STYLES, steps, table_of
from measuring.warming.latencies import BY_HAND, REGISTRATION, RQ, SIDES, STOCK, Ways, fleet
from warmer.processes.private_server import PrivateServer

ROUNDS = Rounds(usual=100, quick=15)
MAX_USUAL_MS = 100.0
MAX_OF_RQ = 3.0


class Outcome(NamedTuple):
    """The result of a run; the samples are in microseconds."""

    environment: dict[str, str]
    samples: Samples
    is_quick: bool = False

    @property
    def figures(self) -> list[Figure]:
        return figures_of(self.samples, {name: SIDES[name] for name in self.samples})

    def find(self, name: str) -> Figure:
        return next(figure for figure in self.figures if figure.name == name)


# --- measurements ------------------------------------------------------------------------------------------------
def measured(options: argparse.Namespace) -> Outcome:
    names = [name for name in SIDES if not (options.quick and name == STOCK)]
    samples: dict[str, list[float]] = {name: [] for name in names}
    with (
        PrivateServer.start() as server,
        fleet(server.url) as log,
        Ways(server.url, log) as ways,
        steps("measuring", options.rounds + 1) as advance,
    ):
        for number in range(options.rounds + 1):
            for name in random.sample(names, len(names)):
                passed_us = ways.take_turn(name)
                if number > 0:  # the first round meets processes that have only just started
                    samples[name].append(passed_us)
            advance()
    return Outcome(environment("redis", "rq", "rq-scheduler"), samples, options.quick)


# --- promises ----------------------------------------------------------------------------------------------------
def judged(outcome: Outcome) -> Iterator[Promise]:
    """Yield each promise, beside its measurement."""
    for name in (REGISTRATION, BY_HAND):
        figure = outcome.find(name)
        text = f"{name} takes at most {MAX_OF_RQ:g} times as long as one RQ job"
        yield Promise(text, f"{figure.ratio:.2f} times", figure.ratio <= MAX_OF_RQ, is_noisy=True)
    text, usual_ms = (
        f"{REGISTRATION} usually takes at most {MAX_USUAL_MS:g} ms",
        outcome.find(REGISTRATION).median_us / 1e3,
    )
    if outcome.is_quick:
        yield not_judged(text, f"{usual_ms:.0f} ms; a time by the clock needs a quiet machine")
    else:
        yield Promise(text, f"{usual_ms:.0f} ms", usual_ms <= MAX_USUAL_MS)


# --- presentation ------------------------------------------------------------------------------------------------
def as_json(outcome: Outcome) -> dict[str, Any]:
    return {"ways": [figure.as_json() for figure in outcome.figures]}


def tables(outcome: Outcome) -> Iterator[Table]:
    table = table_of("from asking to finding the value, idle workers", "p50, ms", "p99, ms", f"/ {RQ}")
    for figure in outcome.figures:
        slowest_ms = p99(outcome.samples[figure.name]) / 1e3
        row = (f"{figure.median_us / 1e3:.1f}", f"{slowest_ms:.1f}", f"{figure.ratio:.2f}")
        table.add_row(figure.name, *row, style=STYLES[figure.side])
    yield table


BENCHMARK = Benchmark(
    __doc__, f"{ROUNDS.quick} rounds, no rq-scheduler", measured, judged, as_json, tables, rounds=ROUNDS
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.run())
