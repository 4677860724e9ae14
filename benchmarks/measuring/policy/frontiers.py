"""Policies compared at the same compute, and how well budgets are held."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from statistics import fmean
from typing import Any, NamedTuple

from warmer.simulation.frontier import Frontier
from warmer.simulation.policies import PRODUCTION
from warmer.simulation.result import ComparisonRow, ReplayResult


class Case(NamedTuple):
    """One trace, with one ttl."""

    trace: str
    ttl_s: float

    def __str__(self) -> str:
        return f"{self.trace} {self.ttl_s:g} s"


class Removed(NamedTuple):
    """What a policy removes in one case.

    Args:
        case: Trace and ttl.
        policy: The policy's name.
        parts: For each amount of extra compute, the part of removable misses; one that cannot spend as much removes
            what its dearest setting does.
    """

    case: Case
    policy: str
    parts: Mapping[float, float]

    def as_json(self) -> dict[str, Any]:
        removed = {f"{1 + extra:g}": round(part, 4) for extra, part in self.parts.items()}
        return {**self.case._asdict(), "policy": self.policy, "removed": removed}


class Held(NamedTuple):
    """What was spent in one case with one budget."""

    case: Case
    extra_compute: float
    result: ReplayResult

    @property
    def spent(self) -> float:
        """Extra compute; in seconds if the trace has costs, as budgets are."""
        seconds = self.result.compute_s_ratio
        return (self.result.compute_ratio if seconds is None else seconds) - 1.0

    def as_json(self) -> dict[str, Any]:
        found = {"extra_compute": self.extra_compute, "spent": round(self.spent, 4)}
        return {**self.case._asdict(), **found, "removed": round(self.result.removed, 4)}


def removed_by(rows: Iterable[ComparisonRow], extra_computes: Sequence[float]) -> list[Removed]:
    """Return what each policy with a setting removes at exactly these amounts of extra compute."""
    found = []
    for (trace, ttl_s, policy), group in groupby(rows, key=attrgetter("trace", "ttl_s", "policy")):
        points = [row.result for row in group if row.extra_compute is not None]
        if points:
            frontier = Frontier.through([_baseline_beside(points[0]), *points])
            parts = {extra: frontier.at(extra).removed for extra in extra_computes}
            found.append(Removed(Case(trace, ttl_s), policy, parts))
    return found


def held_by(rows: Iterable[ComparisonRow], budgets: Sequence[float]) -> list[Held]:
    """Return what warmer's policy spent, in each case with one of these budgets."""
    return [
        Held(Case(row.trace, row.ttl_s), row.extra_compute, row.result)
        for row in rows
        if row.policy == PRODUCTION and row.extra_compute is not None and row.extra_compute in budgets
    ]


def mean_removed(found: Iterable[Removed], policy: str, extra_compute: float) -> float:
    """Return the mean over all cases."""
    return fmean(each.parts[extra_compute] for each in found if each.policy == policy)


def _baseline_beside(point: ReplayResult) -> ReplayResult:
    """Return the baseline of a replay, which every policy can match."""
    return replace(point, misses=point.baseline_misses, refreshes=0, wasted=0, compute_s=point.baseline_compute_s)
