"""Misses removed for compute spent, on real traces: warmer's policy, its rivals, and the upper bound.

Four traces are replayed with several ttls each. Every policy sees the same reads, treats keys independently, never
serves a value older than its ttl, and learns from the first fifth of the trace, which does not count. A plain ttl cache
is the baseline: its computations are 1.0, and all its misses except the first read of a key are removable.

- The frontier: the part of removable misses that each policy removes at 1.05, 1.25, 1.5 and 2.0 times the compute of
  the baseline. Each computation counts as one there, even if the trace has costs. A policy without an exact setting is
  interpolated between its two nearest settings; one that cannot spend as much stands at its most expensive. Warmer's
  policy runs as in production: online, with `extra_compute` as its only setting.
- The budget: what warmer's policy spends with a budget of 10, 25 and 50 % extra: in compute seconds, if the trace has
  them.
- Policies without a setting: refreshing every key for ever, and the quick start's fixed tiers.

The last table lists the promises, and whether this run kept them. The exit code is 0 if it kept all, 1 if not.

Run: python benchmarks/policy.py [--quick] [--json] [--plot FILE]      (--plot needs: pip install 'warmer[bench]')
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from rich.table import Table

from measuring.ending import Benchmark
from measuring.environment import environment
from measuring.policy.frontiers import Case, Held, Removed, held_by, mean_removed, removed_by
from measuring.policy.traces import ALL, QUICK, RecordedTrace
from measuring.promises import Promise
from measuring.screen import steps
from warmer.simulation.chart import draw
from warmer.simulation.comparison import Comparison, compare, jobs_of
from warmer.simulation.policies import BASELINE, FIXED, PRODUCTION, SWEPT
from warmer.simulation.result import ComparisonRow
from warmer.simulation.trace.trace_reader import read_trace

WARMUP = 0.2
EXTRA_COMPUTES = (0.05, 0.25, 0.5, 1.0)
"""At which policies are compared."""
FRONTIER_BUDGETS = (0.035, 0.05, 0.07, 0.1, 0.17, 0.25, 0.35, 0.5, 0.7, 1.0, 1.4)
"""Budgets of warmer's policy, for the points of its frontier."""
BUDGETS = (0.1, 0.25, 0.5)
CLAIRVOYANT = "clairvoyant"
RIVALS = tuple(policy for policy in SWEPT if policy != CLAIRVOYANT)

MIN_REMOVED = {
    Case("wc98", 300.0): (0.22, 0.51, 0.64, 0.76),
    Case("wc98", 900.0): (0.33, 0.59, 0.71, 0.83),
    Case("wc98", 3600.0): (0.42, 0.69, 0.83, 0.95),
    Case("nasa", 900.0): (0.22, 0.39, 0.51, 0.66),
    Case("nasa", 3600.0): (0.27, 0.52, 0.66, 0.83),
    Case("azure", 600.0): (0.78, 0.92, 0.96, 0.98),
    Case("azure", 1800.0): (0.81, 0.92, 0.97, 0.98),
    Case("semicomplete", 3600.0): (None, 0.33, None, None),
}
"""What the offline study of the model removed at each extra compute, with the best threshold in hindsight."""
SLACK = 0.01
MAX_MEAN_ERROR = 0.03
MAX_OVERSPEND = 1.4


class Outcome(NamedTuple):
    """The figures of a run: `rows` count computations, `rows_in_seconds` their costs."""

    environment: dict[str, str]
    rows: list[ComparisonRow]
    rows_in_seconds: list[ComparisonRow]
    removed: list[Removed]
    held: list[Held]


# --- measurements ------------------------------------------------------------------------------------------------
def measured(options: argparse.Namespace) -> Outcome:
    recorded = QUICK if options.quick else ALL
    by_count = [comparison for trace in recorded for comparison in counted(trace)]
    by_cost = [costed(trace) for trace in recorded]
    found: dict[bool, list[ComparisonRow]] = {False: [], True: []}
    with steps("replaying", sum(len(jobs_of(comparison)) for comparison in (*by_count, *by_cost))) as advance:
        for is_costed, comparison in [*((False, one) for one in by_count), *((True, one) for one in by_cost)]:
            for rows in compare(comparison):
                found[is_costed] += rows
                advance()
    for rows in found.values():
        rows.sort(key=place_in_report(recorded))
    removed, held = removed_by(found[False], EXTRA_COMPUTES), held_by(found[True], BUDGETS)
    return Outcome(environment(has_server=False), found[False], found[True], removed, held)


def counted(recorded: RecordedTrace) -> list[Comparison]:
    """Return the comparisons of one trace with equal costs: ours with all budgets, others at fixed extra compute."""
    trace, _ = read_trace(str(recorded.file))
    alike = replace(trace, costs_s=None)
    return [
        Comparison([alike], recorded.ttls_s, [PRODUCTION], FRONTIER_BUDGETS, WARMUP),
        Comparison([alike], recorded.ttls_s, [*FIXED, *SWEPT], EXTRA_COMPUTES, WARMUP),
    ]


def costed(recorded: RecordedTrace) -> Comparison:
    """Return the comparison of our budgets on one trace, with its costs."""
    trace, _ = read_trace(str(recorded.file))
    return Comparison([trace], recorded.ttls_s, [PRODUCTION], BUDGETS, WARMUP)


def place_in_report(recorded: Sequence[RecordedTrace]) -> Any:
    traces = [each.name for each in recorded]
    return lambda found: (traces.index(found.trace), found.ttl_s)


# --- promises ----------------------------------------------------------------------------------------------------
def judged(outcome: Outcome) -> Iterator[Promise]:
    """Yield each promise, beside what was measured."""
    yield removes_as_much_as_the_study(outcome.removed)
    for extra_compute in EXTRA_COMPUTES:
        yield no_rival_removes_more(outcome.removed, extra_compute)
    for budget in BUDGETS:
        yield from budget_is_held([held for held in outcome.held if held.extra_compute == budget], budget)


def removes_as_much_as_the_study(removed: Iterable[Removed]) -> Promise:
    differences = {
        (each.case, extra): each.parts[extra] - least
        for each in removed
        if each.policy == PRODUCTION and each.case in MIN_REMOVED
        for extra, least in zip(EXTRA_COMPUTES, MIN_REMOVED[each.case], strict=True)
        if least is not None
    }
    (case, extra), worst = min(differences.items(), key=lambda item: item[1])
    text = "online, the model removes in no case over 1 point less than in its offline study"
    return Promise(text, f"{100 * worst:+.1f} points ({case}, {1 + extra:g}x)", worst >= -SLACK)


def no_rival_removes_more(removed: Sequence[Removed], extra_compute: float) -> Promise:
    ours = mean_removed(removed, PRODUCTION, extra_compute)
    rivals = ((rival, mean_removed(removed, rival, extra_compute)) for rival in RIVALS)
    best, most = max(rivals, key=lambda item: item[1])
    text = f"at {1 + extra_compute:g}x, over all cases, it removes more than any rival"
    return Promise(text, f"{100 * ours:.1f} %, {best} {100 * most:.1f} %", ours > most)


def budget_is_held(held: Sequence[Held], budget: float) -> Iterator[Promise]:
    mean = fmean(each.spent for each in held)
    text = f"with a budget of {100 * budget:.0f} % extra, it spends that on average, within 3 points"
    yield Promise(text, f"{100 * mean:.1f} %", abs(mean - budget) <= MAX_MEAN_ERROR)
    highest = max(held, key=lambda each: each.spent)
    text = f"with a budget of {100 * budget:.0f} % extra, it spends in no case above {MAX_OVERSPEND:g} times that"
    yield Promise(text, f"{100 * highest.spent:.1f} % ({highest.case})", highest.spent <= MAX_OVERSPEND * budget)


# --- presentation ------------------------------------------------------------------------------------------------
def as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "rows": [row.as_json() for row in outcome.rows],
        "removed": [removed.as_json() for removed in outcome.removed],
        "rows_in_seconds": [row.as_json() for row in outcome.rows_in_seconds],
        "held": [held.as_json() for held in outcome.held],
    }


def tables(outcome: Outcome) -> Iterator[Table]:
    yield removed_table(outcome)
    yield held_table(outcome.held)
    yield fixed_table(outcome.rows)


def titled(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    return table


def removed_table(outcome: Outcome) -> Table:
    levels = " / ".join(f"{1 + extra_compute:g}" for extra_compute in EXTRA_COMPUTES)
    order = [PRODUCTION, *(policy for policy in SWEPT)]
    table = titled(f"removable misses removed, in %, at {levels} x compute", "", "plain misses", *order)
    baselines = {Case(found.trace, found.ttl_s): found.result for found in outcome.rows if found.policy == BASELINE}
    for case, group in groupby(outcome.removed, key=lambda each: each.case):
        of_policy = {each.policy: each for each in group}
        cells = (in_percent(of_policy[policy].parts[extra] for extra in EXTRA_COMPUTES) for policy in order)
        table.add_row(str(case), f"{100 * baselines[case].miss_ratio:.1f} %", *cells)
    means = (in_percent(mean_removed(outcome.removed, policy, extra) for extra in EXTRA_COMPUTES) for policy in order)
    table.add_row("mean", "", *means, style="bold")
    return table


def in_percent(parts: Iterable[float]) -> str:
    return "/".join(f"{100 * part:.0f}" for part in parts)


def held_table(held: Sequence[Held]) -> Table:
    table = titled("extra compute spent with each budget, and the part of misses it removes", "")
    for budget in BUDGETS:
        table.add_column(f"budget {100 * budget:.0f} %", justify="right")
    for case, group in groupby(held, key=lambda each: each.case):
        cells = (f"{100 * each.spent:.1f} % for {100 * each.result.removed:.0f} %" for each in group)
        table.add_row(str(case), *cells)
    return table


def fixed_table(rows: Iterable[ComparisonRow]) -> Table:
    fixed = [policy for policy in FIXED if policy != BASELINE]
    table = titled("policies without a setting: compute, and the part of misses they remove", "", *fixed)
    chosen = [found for found in rows if found.policy in fixed]
    for case, group in groupby(chosen, key=lambda found: Case(found.trace, found.ttl_s)):
        cells = (f"{found.result.compute_ratio:.2f}x for {100 * found.result.removed:.0f} %" for found in group)
        table.add_row(str(case), *cells)
    return table


def plot(outcome: Outcome, file: Path) -> None:
    """Draw each case, up to the largest extra compute."""
    shown = [found for found in outcome.rows if (found.extra_compute or 0.0) <= max(EXTRA_COMPUTES)]
    draw(
        shown,
        file,
        "Real traces (benchmarks/traces); clairvoyant knows all future reads: the upper bound of renewal",
    )


BENCHMARK = Benchmark(__doc__, "the two small traces, and fewer ttls", measured, judged, as_json, tables, plot)

if __name__ == "__main__":
    sys.exit(BENCHMARK.run())
