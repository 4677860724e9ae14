"""The policies that a simulation compares, and how each is replayed."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from warmer.simulation.frontier import Frontier, frontier_of
from warmer.simulation.policies.clairvoyant import replay_clairvoyant
from warmer.simulation.policies.plain import replay_all
from warmer.simulation.policies.renewal_credits import replay_rlfu, replay_rlru
from warmer.simulation.policies.tiers import replay_tiers
from warmer.simulation.policies.xfetch import replay_xfetch
from warmer.simulation.result import Replayed
from warmer.simulation.trace.by_key import ReadsByKey

PRICED = "priced"
PLAIN = "plain"

FIXED: dict[str, Callable[[ReadsByKey, Replayed], Replayed]] = {
    PLAIN: lambda course, plain: plain,
    "all": replay_all,
    "tiers": replay_tiers,
}
"""Policies that spend what they spend."""


class Sweep(NamedTuple):
    """A policy with a setting that says how much it spends.

    Args:
        replay: Replays it in one setting.
        settings: From cheap to dear.
    """

    replay: Callable[[ReadsByKey, float, Replayed], Replayed]
    settings: tuple[float, ...]

    def frontier(self, course: ReadsByKey, plain: Replayed, extras: Iterable[float]) -> Frontier:
        """Return what the policy achieves, at these amounts of extra compute."""
        return frontier_of(lambda setting: self.replay(course, setting, plain), self.settings, plain, extras)


SWEPT: dict[str, Sweep] = {
    "xfetch": Sweep(replay_xfetch, tuple(2.0**power for power in range(0, 22))),
    "rlfu": Sweep(
        replay_rlfu,
        (.005, .01, .02, .03, .05, .07, .1, .15, .2, .25, .3, .4, .5, .6, .7, .85, 1, 1.25, 1.6, 2, 3, 4, 5, 7, 10, 20),
    ),
    "rlru": Sweep(replay_rlru, (1, 2, 3, 5, 10, 30, 100)),
    "clairvoyant": Sweep(
        replay_clairvoyant,
        (.02, .1, .3, .5, .7, .85, 1, 1.2, 1.4, 1.7, 2, 2.5, 3, 4, 5, 6.5, 8, 11, 15, 22, 30, 50, 100),
    ),
}  # fmt: skip
"""Policies that spend what they are set to."""

POLICIES = (PRICED, *FIXED, *SWEPT)
"""All of them, ours first."""
