"""The cost of a hit beside the bare GET and other libraries, and the round trips that a miss adds.

In one run, in one process, on a private server, in interleaved rounds:

- sync and async: one hit after the other, values of 100 B, 1 KB and 64 KB of JSON;
- 100 readers at once on an event loop;
- 1,000 keys of 1 KB at once;
- misses: the round trips between the call and the caller's value, counted by a proxy, not timed.

The bare GET is redis-py's, with orjson.loads (= 1.0). At the end stand the promises, and whether this run found them
held. The exit code is 0 if all of them were, 1 if not.

Run: python benchmarks/read.py [--quick] [--json] [--plot FILE]      (rivals: pip install 'warmer[bench]')
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import warmer
from contenders import LIBRARIES
from measuring.charts.bars import Bar, Panel, draw
from measuring.ending import Benchmark
from measuring.environment import as_line, environment
from measuring.options import Rounds
from measuring.promises import Promise, not_judged
from measuring.reads.report import Comparison, Report
from measuring.reads.round_trips import CountingProxy
from measuring.reads.timings import ASYNC, SYNC, Reads, count_misses, run_without_loop
from measuring.reads.values import MANY, READS, USUAL_SIZE, hit_of
from warmer.processes.private_server import PrivateServer

ROUNDS = Rounds(usual=200, quick=14)

COUNTED_HITS = {"sync": "warmer.get", "async": "warmer.aget"}
MAX_FOR_A_HIT = 1.15
MAX_FOR_MANY = 1.3
QUICK_MAX_FOR_A_HIT, QUICK_MAX_OF_RIVALS = 1.5, 1.5
"""With a margin for the noise of a quick run."""
LARGEST = max(READS)
QUICK_MAX_FOR_MANY = 2.2
"""Many keys cost more than is promised as yet; a quick run sees that they cost no more than they do."""
MAX_ROUND_TRIPS = 2


def measured(options: argparse.Namespace) -> Report:
    report, rounds = Report(environment(*LIBRARIES), options.quick), options.rounds
    with PrivateServer.start() as server:
        warmer.configure(redis_url=server.url)
        run_without_loop(measure_sync(server.url, rounds, report))
        asyncio.run(measure_async(server.url, rounds, report))
        with CountingProxy(server.port) as proxy:
            # Beats far apart: what goes on in the background is not taken for a reader's round trip.
            warmer.configure(redis_url=proxy.url, flush_s=60, tick_s=60)
            run_without_loop(count_misses(SYNC, proxy, report))
            asyncio.run(count_misses(ASYNC, proxy, report))
            warmer.default_warmer().close()
    return report


async def measure_sync(url: str, rounds: int, report: Report) -> None:
    reads = Reads(SYNC, url, rounds, report)
    await reads.measure_hits()
    await reads.measure_many()


async def measure_async(url: str, rounds: int, report: Report) -> None:
    reads = Reads(ASYNC, url, rounds, report)
    await reads.measure_hits()
    if not report.is_quick:  # nothing is promised of crowds
        await reads.measure_crowd()
    await reads.measure_many()


# --- promises ----------------------------------------------------------------------------------------------------
def judged(report: Report) -> Iterator[Promise]:
    """Yield each promise, beside what was measured."""
    for kind in COUNTED_HITS:
        for work in map(hit_of, READS):
            yield hit_is_cheap(report, report.find(kind, work))
    for kind in COUNTED_HITS:
        for work in map(hit_of, READS):
            yield rivals_are_beaten(report, report.find(kind, work))
    for kind in COUNTED_HITS:
        yield many_are_cheap(report, report.find(kind, MANY))
    yield from misses_are_short(report)


def hit_is_cheap(report: Report, comparison: Comparison) -> Promise:
    name = COUNTED_HITS[comparison.kind]
    ratio = next(report.ratio_of(figure) for figure in comparison.figures if figure.name == name)
    most = QUICK_MAX_FOR_A_HIT if report.is_quick else MAX_FOR_A_HIT
    text = f"a counted hit costs at most {most}x the bare GET ({comparison.title})"
    return Promise(text, f"{ratio:.2f}x", ratio <= most, is_noisy=True)


def rivals_are_beaten(report: Report, comparison: Comparison) -> Promise:
    """Judge the slowest of ours beside the quickest rival; a rival that was not measured is not beaten."""
    most = QUICK_MAX_OF_RIVALS if report.is_quick else 1.0
    text = f"a hit costs less than {f'{most:g} times ' if report.is_quick else ''}any rival's ({comparison.title})"
    rivals = comparison.of_side("rival")
    if not rivals:
        return Promise(text, "no rival was measured", False)
    slowest = max(comparison.of_side("ours"), key=report.ratio_of)
    quickest = min(rivals, key=report.ratio_of)
    ours, theirs = report.ratio_of(slowest), report.ratio_of(quickest)
    missing = f"; not measured: {', '.join(report.absent)}" if report.absent else ""
    shown = f"{slowest.name} {ours:.2f}x, {quickest.name} {theirs:.2f}x{missing}"
    if report.is_quick and comparison.work == hit_of(LARGEST) and not missing:
        return not_judged(text, f"{shown}; {LARGEST:,} bytes take all of them so long that noise decides")
    return Promise(text, shown, ours < most * theirs and not report.absent, is_noisy=not report.absent)


def many_are_cheap(report: Report, comparison: Comparison) -> Promise:
    ratio = report.ratio_of(comparison.of_side("ours")[0])
    most = QUICK_MAX_FOR_MANY if report.is_quick else MAX_FOR_MANY
    text = f"{comparison.work} cost at most {most}x the bare MGET ({comparison.kind})"
    return Promise(text, f"{ratio:.2f}x", ratio <= most, is_noisy=True)


def misses_are_short(report: Report) -> Iterator[Promise]:
    for miss in report.misses:
        if miss.side == "ours":
            text = f"a miss adds at most {MAX_ROUND_TRIPS} round trips to the read ({miss.name})"
            yield Promise(text, f"{miss.added}", miss.added <= MAX_ROUND_TRIPS)


# --- the picture -----------------------------------------------------------------------------------------------
def plot(report: Report, file: Path) -> None:
    usual = hit_of(USUAL_SIZE)
    shown = [("sync", usual), ("async", usual), ("sync", MANY), ("async", MANY)]
    panels = [panel(report.find(kind, work)) for kind, work in shown]
    draw(panels, "What a cached value costs to read", as_line(report.environment), file)


def panel(comparison: Comparison) -> Panel:
    bars = [
        Bar(figure.name, figure.side, figure.median_us, f"{figure.median_us:,.0f} µs   {figure.ratio:.2f}x")
        for figure in comparison.figures
        if figure.side != "floor"
    ]
    base = comparison.of_side("base")[0].name
    return Panel(comparison.title, f"µs, median of all rounds; x that of {base} in the same rounds", bars)


BENCHMARK = Benchmark(
    __doc__, f"{ROUNDS.quick} rounds, no crowds", measured, judged, Report.as_json, Report.tables, plot, ROUNDS
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.run())
