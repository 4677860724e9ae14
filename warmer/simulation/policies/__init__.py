"""Registry of the policies that a simulation compares."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from warmer.simulation.frontier import Frontier, frontier_of
from warmer.simulation.policies.clairvoyant import replay_clairvoyant
from warmer.simulation.policies.renewal_credits import replay_rlfu, replay_rlru
from warmer.simulation.policies.tiers import replay_tiers
from warmer.simulation.policies.unconditional import replay_all
from warmer.simulation.policies.xfetch import replay_xfetch
from warmer.simulation.result import ReplayResult
from warmer.simulation.trace.by_key import ReadsByKey

PRODUCTION = "warmer"
BASELINE = "plain"

FIXED: dict[str, Callable[[ReadsByKey, ReplayResult], ReplayResult]] = {
    BASELINE: lambda by_key, baseline: baseline,
    "all": replay_all,
    "tiers": replay_tiers,
}
"""Policies without a setting for how much they spend."""


class Sweep(NamedTuple):
    """A policy with a setting for how much it spends: its replay in one setting; settings from cheap to expensive."""

    replay: Callable[[ReadsByKey, float, ReplayResult], ReplayResult]
    settings: tuple[float, ...]

    def frontier(self, by_key: ReadsByKey, baseline: ReplayResult, extra_computes: Iterable[float]) -> Frontier:
        """Return the policy's frontier at these amounts of extra compute."""

        def replay(setting: float) -> ReplayResult:
            return self.replay(by_key, setting, baseline)

        return frontier_of(replay, self.settings, baseline, extra_computes)


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
"""Policies with a setting."""

POLICIES = (PRODUCTION, *FIXED, *SWEPT)
"""The names of all policies."""
