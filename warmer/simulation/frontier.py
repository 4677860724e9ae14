"""What a policy achieves for each amount of extra compute."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from warmer.simulation.result import Replayed


@dataclass(frozen=True, slots=True)
class Frontier:
    """Replays of one policy in several settings, from the cheapest to the dearest.

    Args:
        points: The replays: each computes more than the one before, and misses less.
    """

    points: list[Replayed]

    @classmethod
    def through(cls, replays: Iterable[Replayed]) -> "Frontier":
        """Return the frontier through replays, in any order; one that computes more and misses no less is left out."""
        points: list[Replayed] = []
        for replayed in sorted(replays, key=lambda replayed: (replayed.compute_ratio, replayed.misses)):
            if not points or replayed.misses < points[-1].misses:
                points.append(replayed)
        return cls(points)

    def at(self, extra_compute: float) -> Replayed:
        """Return what the policy achieves if it spends exactly this much more than a plain cache.

        Between two settings, as many keys as make the sum come out are treated as in the dearer one, chosen by lot. A
        policy that cannot spend as much, or gains nothing by it, stands at its dearest point.

        Args:
            extra_compute: Such as 0.25 for 25 % more computations.
        """
        compute_ratio = 1.0 + extra_compute
        above = bisect_left(self.points, compute_ratio, key=_compute_ratio)
        if above == len(self.points):
            return self.points[-1]
        if above == 0:
            return self.points[0]
        cheaper, dearer = self.points[above - 1], self.points[above]
        share = (compute_ratio - cheaper.compute_ratio) / (dearer.compute_ratio - cheaper.compute_ratio)
        return cheaper.towards(dearer, share)

    def reaches(self, extra_compute: float) -> bool:
        """Say whether the policy can spend as much."""
        return self.points[-1].compute_ratio >= 1.0 + extra_compute


def frontier_of(
    replay: Callable[[float], Replayed], settings: Sequence[float], plain: Replayed, extras: Iterable[float]
) -> Frontier:
    """Replay a policy in the settings next to each amount of extra compute that is asked about.

    Args:
        replay: Replays the policy in a setting.
        settings: From cheap to dear.
        plain: What a plain cache did, which every policy may do.
        extras: The amounts of extra compute that are asked about, such as 0.1 and 0.25.
    """
    replay_once = cache(replay)
    used, above = {plain}, 0
    for extra in sorted(extras):
        above = bisect_left(settings, 1.0 + extra, above, key=lambda setting: replay_once(setting).compute_ratio)
        used |= {replay_once(setting) for setting in settings[max(above - 1, 0) : above + 1]}
    return Frontier.through(used)


def _compute_ratio(point: Replayed) -> float:
    return point.compute_ratio
