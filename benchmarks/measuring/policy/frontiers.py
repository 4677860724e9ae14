"""What policies achieve at the same compute, and how well the knob is held."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from statistics import fmean
from typing import Any, NamedTuple

from warmer.simulation.frontier import Frontier
from warmer.simulation.policies import PRICED
from warmer.simulation.result import Finding, Replayed


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
    """What was spent in one case, where the knob was set to something."""

    case: Case
    extra_compute: float
    replayed: Replayed

    @property
    def spent(self) -> float:
        """Extra compute; in seconds where the trace has costs, for that is what the knob speaks of."""
        seconds = self.replayed.compute_s_ratio
        return (self.replayed.compute_ratio if seconds is None else seconds) - 1.0

    def as_json(self) -> dict[str, Any]:
        found = {"extra_compute": self.extra_compute, "spent": round(self.spent, 4)}
        return {**self.case._asdict(), **found, "removed": round(self.replayed.removed, 4)}


def removed_by(findings: Iterable[Finding], budgets: Sequence[float]) -> list[Removed]:
    """Return what each policy that takes orders removes at exactly these budgets, between its points."""
    found = []
    for (trace, ttl_s, policy), group in groupby(findings, key=attrgetter("trace", "ttl_s", "policy")):
        points = [finding.replayed for finding in group if finding.extra_compute is not None]
        if points:
            frontier = Frontier.through([_plain_beside(points[0]), *points])
            parts = {budget: frontier.at(budget).removed for budget in budgets}
            found.append(Removed(Case(trace, ttl_s), policy, parts))
    return found


def held_by(findings: Iterable[Finding], settings: Sequence[float]) -> list[Held]:
    """Return what priced renewal spent, in each case where the knob was set to one of these."""
    return [
        Held(Case(found.trace, found.ttl_s), found.extra_compute, found.replayed)
        for found in findings
        if found.policy == PRICED and found.extra_compute is not None and found.extra_compute in settings
    ]


def mean_removed(found: Iterable[Removed], policy: str, budget: float) -> float:
    """Return the mean over all cases."""
    return fmean(each.parts[budget] for each in found if each.policy == policy)


def _plain_beside(point: Replayed) -> Replayed:
    """Return the plain cache that a replay was compared with: every policy may do the same."""
    return replace(point, misses=point.plain_misses, refreshes=0, wasted=0, compute_s=point.plain_compute_s)
