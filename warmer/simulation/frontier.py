"""Pareto frontier of a policy: the fewest misses for each amount of extra compute."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from warmer.simulation.result import ReplayResult


@dataclass(frozen=True, slots=True)
class Frontier:
    """Results of one policy in several settings, from the cheapest to the most expensive.

    Args:
        points: The results: each computes more than the one before, and misses less.
    """

    points: list[ReplayResult]

    @classmethod
    def through(cls, results: Iterable[ReplayResult]) -> "Frontier":
        """Return the frontier of results in any order; one that computes more without fewer misses is left out."""
        points: list[ReplayResult] = []
        for result in sorted(results, key=lambda result: (result.compute_ratio, result.misses)):
            if not points or result.misses < points[-1].misses:
                points.append(result)
        return cls(points)

    def at(self, extra_compute: float) -> ReplayResult:
        """Return the result at a compute budget, such as 0.25 for 25 % more computations than the baseline.

        Between two settings, a random part of the keys is treated as in the more expensive one, so that the sum is met.
        A policy that cannot spend as much, or gains nothing by it, stands at its most expensive point.
        """
        compute_ratio = 1.0 + extra_compute
        above = bisect_left(self.points, compute_ratio, key=_compute_ratio)
        if above == len(self.points):
            return self.points[-1]
        if above == 0:
            return self.points[0]
        cheaper, dearer = self.points[above - 1], self.points[above]
        share = (compute_ratio - cheaper.compute_ratio) / (dearer.compute_ratio - cheaper.compute_ratio)
        return cheaper.mixed_with(dearer, share)

    def reaches(self, extra_compute: float) -> bool:
        """Return whether the policy can spend as much."""
        return self.points[-1].compute_ratio >= 1.0 + extra_compute


def frontier_of(
    replay: Callable[[float], ReplayResult],
    settings: Sequence[float],
    baseline: ReplayResult,
    extra_computes: Iterable[float],
) -> Frontier:
    """Replay a policy only in the settings next to each requested amount of extra compute.

    Args:
        replay: Replays the policy in a setting.
        settings: From cheap to expensive.
        baseline: The result of a plain ttl cache, which every policy can match.
        extra_computes: The requested amounts, such as 0.1 and 0.25.
    """
    replay_once = cache(replay)
    used, above = {baseline}, 0
    for extra_compute in sorted(extra_computes):
        above = bisect_left(settings, 1.0 + extra_compute, above, key=lambda one: replay_once(one).compute_ratio)
        used |= {replay_once(setting) for setting in settings[max(above - 1, 0) : above + 1]}
    return Frontier.through(used)


def _compute_ratio(point: ReplayResult) -> float:
    return point.compute_ratio
