"""What warming removes for what it spends, on real traces: priced renewal beside its rivals and the bound.

Four traces are replayed with several ttls each. Every policy sees the same reads, treats each key by itself, never
serves a value that is older than its ttl, and learns from the first fifth of the trace, which is not counted. A plain
cache computes at each miss and never before: its computations are 1.0, and of its misses all but the first read of a
key can be removed.

- The frontier: the part of removable misses that each policy removes at 1.05, 1.25, 1.5 and 2.0 times the compute of
  the plain cache. Each computation counts one there, also where the trace says what they cost. A policy that spends a
  little less or more is taken between its nearest settings; one that cannot spend as much, at its dearest. Priced
  renewal runs as in production: online, told nothing but `extra_compute`.
- The knob: what priced renewal spends when it is told 10, 25 and 50 % extra: in compute seconds, where the trace has
  them.
- Policies that take no orders: refreshing every key for ever, and the quick start's fixed tiers.

At the end stands what is promised, and whether this run found it held. The exit code is 0 if all of it was, 1 if not.

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
from measuring.policy.traces import ALL, QUICK, Recorded
from measuring.promises import Promise
from measuring.screen import steps
from warmer.simulation.chart import draw
from warmer.simulation.comparison import Comparison, compare, parts_of
from warmer.simulation.policies import FIXED, PLAIN, PRICED, SWEPT
from warmer.simulation.result import Finding
from warmer.simulation.trace.trace_reader import read_trace

WARMUP = 0.2
BUDGETS = (0.05, 0.25, 0.5, 1.0)
SETTINGS = (0.035, 0.05, 0.07, 0.1, 0.17, 0.25, 0.35, 0.5, 0.7, 1.0, 1.4)
"""What priced renewal is told, for the points of its frontier."""
TOLD = (0.1, 0.25, 0.5)
CLAIRVOYANT = "clairvoyant"
RIVALS = tuple(policy for policy in SWEPT if policy != CLAIRVOYANT)

LEAST_REMOVED = {
    Case("wc98", 300.0): (0.22, 0.51, 0.64, 0.76),
    Case("wc98", 900.0): (0.33, 0.59, 0.71, 0.83),
    Case("wc98", 3600.0): (0.42, 0.69, 0.83, 0.95),
    Case("nasa", 900.0): (0.22, 0.39, 0.51, 0.66),
    Case("nasa", 3600.0): (0.27, 0.52, 0.66, 0.83),
    Case("azure", 600.0): (0.78, 0.92, 0.96, 0.98),
    Case("azure", 1800.0): (0.81, 0.92, 0.97, 0.98),
    Case("semicomplete", 3600.0): (None, 0.33, None, None),
}
"""What the study of the model found it to remove at each budget, in hindsight about the price."""
SLACK = 0.01
MOST_MEAN_ERROR = 0.03
MOST_OF_SET = 1.4


class Outcome(NamedTuple):
    """All that a run brought; `findings` count computations, `in_seconds` what they cost."""

    environment: dict[str, str]
    findings: list[Finding]
    in_seconds: list[Finding]
    removed: list[Removed]
    held: list[Held]


# --- what is measured ------------------------------------------------------------------------------------------
def measured(options: argparse.Namespace) -> Outcome:
    recorded = QUICK if options.quick else ALL
    by_count = [comparison for trace in recorded for comparison in counted(trace)]
    by_cost = [costed(trace) for trace in recorded]
    found: dict[bool, list[Finding]] = {False: [], True: []}
    with steps("replaying", sum(len(parts_of(comparison)) for comparison in (*by_count, *by_cost))) as advance:
        for is_costed, comparison in [*((False, one) for one in by_count), *((True, one) for one in by_cost)]:
            for findings in compare(comparison):
                found[is_costed] += findings
                advance()
    for findings in found.values():
        findings.sort(key=place_in_report(recorded))
    removed, held = removed_by(found[False], BUDGETS), held_by(found[True], TOLD)
    return Outcome(environment(has_server=False), found[False], found[True], removed, held)


def counted(recorded: Recorded) -> list[Comparison]:
    """Return what is compared on one trace, each computation alike: ours in all settings, others at the budgets."""
    trace, _ = read_trace(str(recorded.file))
    alike = replace(trace, costs_s=None)
    return [
        Comparison([alike], recorded.ttls_s, [PRICED], SETTINGS, WARMUP),
        Comparison([alike], recorded.ttls_s, [*FIXED, *SWEPT], BUDGETS, WARMUP),
    ]


def costed(recorded: Recorded) -> Comparison:
    """Return how ours is told what to spend, on one trace with the costs that it has."""
    trace, _ = read_trace(str(recorded.file))
    return Comparison([trace], recorded.ttls_s, [PRICED], TOLD, WARMUP)


def place_in_report(recorded: Sequence[Recorded]) -> Any:
    traces = [each.name for each in recorded]
    return lambda found: (traces.index(found.trace), found.ttl_s)


# --- what is promised ------------------------------------------------------------------------------------------
def judged(outcome: Outcome) -> Iterator[Promise]:
    """Yield each promise, beside what was measured."""
    yield removes_what_the_study_did(outcome.removed)
    for budget in BUDGETS:
        yield no_rival_removes_more(outcome.removed, budget)
    for told in TOLD:
        yield from knob_is_held([held for held in outcome.held if held.extra_compute == told], told)


def removes_what_the_study_did(removed: Iterable[Removed]) -> Promise:
    differences = {
        (each.case, budget): each.parts[budget] - least
        for each in removed
        if each.policy == PRICED and each.case in LEAST_REMOVED
        for budget, least in zip(BUDGETS, LEAST_REMOVED[each.case], strict=True)
        if least is not None
    }
    (case, budget), worst = min(differences.items(), key=lambda item: item[1])
    text = "online, the model removes in no case over 1 point less than its study in hindsight"
    return Promise(text, f"{100 * worst:+.1f} points ({case}, {1 + budget:g}x)", worst >= -SLACK)


def no_rival_removes_more(removed: Sequence[Removed], budget: float) -> Promise:
    ours = mean_removed(removed, PRICED, budget)
    best, most = max(((rival, mean_removed(removed, rival, budget)) for rival in RIVALS), key=lambda item: item[1])
    text = f"at {1 + budget:g}x, over all cases, it removes more than any rival"
    return Promise(text, f"{100 * ours:.1f} %, {best} {100 * most:.1f} %", ours > most)


def knob_is_held(held: Sequence[Held], told: float) -> Iterator[Promise]:
    mean = fmean(each.spent for each in held)
    text = f"told {100 * told:.0f} % extra, it spends that on average, within 3 points"
    yield Promise(text, f"{100 * mean:.1f} %", abs(mean - told) <= MOST_MEAN_ERROR)
    dearest = max(held, key=lambda each: each.spent)
    text = f"told {100 * told:.0f} % extra, it spends in no case above {MOST_OF_SET:g} times that"
    yield Promise(text, f"{100 * dearest.spent:.1f} % ({dearest.case})", dearest.spent <= MOST_OF_SET * told)


# --- what is shown ---------------------------------------------------------------------------------------------
def as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "findings": [finding.as_json() for finding in outcome.findings],
        "removed": [removed.as_json() for removed in outcome.removed],
        "in_seconds": [finding.as_json() for finding in outcome.in_seconds],
        "held": [held.as_json() for held in outcome.held],
    }


def tables(outcome: Outcome) -> Iterator[Table]:
    yield removed_table(outcome)
    yield held_table(outcome.held)
    yield fixed_table(outcome.findings)


def titled(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    return table


def removed_table(outcome: Outcome) -> Table:
    budgets = " / ".join(f"{1 + budget:g}" for budget in BUDGETS)
    order = [PRICED, *(policy for policy in SWEPT)]
    table = titled(f"removable misses removed, in %, at {budgets} x compute", "", "plain misses", *order)
    plain = {Case(found.trace, found.ttl_s): found.replayed for found in outcome.findings if found.policy == PLAIN}
    for case, group in groupby(outcome.removed, key=lambda each: each.case):
        of_policy = {each.policy: each for each in group}
        cells = (in_percent(of_policy[policy].parts[budget] for budget in BUDGETS) for policy in order)
        table.add_row(str(case), f"{100 * plain[case].miss_ratio:.1f} %", *cells)
    means = (in_percent(mean_removed(outcome.removed, policy, budget) for budget in BUDGETS) for policy in order)
    table.add_row("mean", "", *means, style="bold")
    return table


def in_percent(parts: Iterable[float]) -> str:
    return "/".join(f"{100 * part:.0f}" for part in parts)


def held_table(held: Sequence[Held]) -> Table:
    table = titled("what is spent when told so, and the part of misses it removes", "")
    for told in TOLD:
        table.add_column(f"told {100 * told:.0f} %", justify="right")
    for case, group in groupby(held, key=lambda each: each.case):
        cells = (f"{100 * each.spent:.1f} % for {100 * each.replayed.removed:.0f} %" for each in group)
        table.add_row(str(case), *cells)
    return table


def fixed_table(findings: Iterable[Finding]) -> Table:
    fixed = [policy for policy in FIXED if policy != PLAIN]
    table = titled("policies that take no orders: compute, and the part of misses they remove", "", *fixed)
    chosen = [found for found in findings if found.policy in fixed]
    for case, group in groupby(chosen, key=lambda found: Case(found.trace, found.ttl_s)):
        cells = (f"{found.replayed.compute_ratio:.2f}x for {100 * found.replayed.removed:.0f} %" for found in group)
        table.add_row(str(case), *cells)
    return table


def plot(outcome: Outcome, file: Path) -> None:
    """Draw each case, up to the largest budget."""
    shown = [found for found in outcome.findings if (found.extra_compute or 0.0) <= max(BUDGETS)]
    draw(
        shown,
        file,
        "Real traces (benchmarks/traces); clairvoyant knows every read to come, and is the bound of renewal",
    )


BENCHMARK = Benchmark(__doc__, "the two small traces, and fewer ttls", measured, judged, as_json, tables, plot)

if __name__ == "__main__":
    sys.exit(BENCHMARK.run())
