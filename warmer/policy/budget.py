"""Budgets: how much warming may spend, for one task or for all.

Each budget knows where on the what-if curve it is met and how much of it was used; `Threshold` holds it.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from warmer.errors import SettingsError
from warmer.policy.spending import Spending
from warmer.policy.what_if import WhatIfCurve

PRIOR_MISSES, PRIOR_S = 20.0, 600.0
"""Sums over fewer computations, or fewer seconds, are mixed with a typical value."""


class CurveTarget(NamedTuple):
    """The point of the what-if curve at which a budget is met.

    Args:
        log_odds: The threshold at this point.
        confidence: How far to trust the point, from 0 to 1.
    """

    log_odds: float
    confidence: float


@dataclass(frozen=True, slots=True)
class ExtraCompute:
    """Warming may spend this share more than a plain ttl cache spends on the same reads.

    Args:
        share: 0.25 for a quarter more compute seconds; above 0, at most 100.

    Raises:
        SettingsError: the share is out of range.

    Example:
        >>> ExtraCompute(0.25)
        ExtraCompute(share=0.25)
        >>> round(ExtraCompute(0.1).typical_log_odds, 1)
        0.9
    """

    share: float

    has_cutoff: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 100.0:
            raise SettingsError(
                f"expected extra compute above 0 and at most 100, got {self.share!r}; "
                "0.25 lets warming spend a quarter more than a plain cache"
            )

    @property
    def typical_log_odds(self) -> float:
        """The threshold to start from: a fit to traces of many kinds."""
        return -0.3 - 1.3 * math.log(self.share / 0.25)

    def target_on(self, curve: WhatIfCurve, recent: Spending, day: Spending) -> CurveTarget:
        """Return where the budget is met: see `Budget`."""
        log_odds = curve.log_odds_at(curve.extra_s, self.share * recent.spent.baseline_s / day.realized.extra_s)
        return CurveTarget(log_odds, _confidence(recent.spent.baseline_misses, PRIOR_MISSES))

    def overspend(self, day: Spending) -> float:
        """Return extra compute seconds, as a multiple of those allowed."""
        prior_s = PRIOR_MISSES * day.mean_cost_s
        return _ratio(day.extra_s + self.share * prior_s, self.share * (day.spent.baseline_s + prior_s))

    def actual(self, day: Spending) -> float | None:
        """Return the share that was spent more; None while it is not known."""
        return day.extra_s / day.spent.baseline_s if day.spent.baseline_s else None


@dataclass(frozen=True, slots=True)
class TargetHitRatio:
    """Warming spends as little as this hit ratio needs.

    Args:
        ratio: 0.99 for at most one read in a hundred that waits for a computation; between 0 and 1.

    Raises:
        SettingsError: the ratio is out of range.

    Example:
        >>> TargetHitRatio(0.99)
        TargetHitRatio(ratio=0.99)
    """

    ratio: float

    has_cutoff: ClassVar[bool] = False
    typical_log_odds: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        if not 0.0 < self.ratio < 1.0:
            raise SettingsError(
                f"expected a target hit ratio between 0 and 1, got {self.ratio!r}; "
                "0.99 lets one read in a hundred wait for a computation"
            )

    def target_on(self, curve: WhatIfCurve, recent: Spending, day: Spending) -> CurveTarget:
        """Return where the budget is met: see `Budget`."""
        to_avoid = recent.spent.baseline_misses - (1.0 - self.ratio) * recent.spent.reads
        log_odds = curve.log_odds_at(curve.avoided, to_avoid / day.realized.avoided)
        return CurveTarget(log_odds, _confidence(recent.spent.baseline_misses, PRIOR_MISSES))

    def overspend(self, day: Spending) -> float:
        """Return the misses allowed, as a multiple of those that happened: fewer misses cost more."""
        return _ratio((1.0 - self.ratio) * day.spent.reads + PRIOR_MISSES, day.spent.misses + PRIOR_MISSES)

    def actual(self, day: Spending) -> float | None:
        """Return the hit ratio; None while it is not known."""
        return 1.0 - day.spent.misses / day.spent.reads if day.spent.reads else None


@dataclass(frozen=True, slots=True)
class ComputeBudget:
    """Refreshes may take this many compute seconds each minute.

    Args:
        seconds_per_minute: 30 for half of one core; above 0.

    Raises:
        SettingsError: the budget is not above 0.

    Example:
        >>> ComputeBudget(30)
        ComputeBudget(seconds_per_minute=30)
    """

    seconds_per_minute: float

    has_cutoff: ClassVar[bool] = True
    typical_log_odds: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        if not 0.0 < self.seconds_per_minute < float("inf"):
            raise SettingsError(
                f"expected a compute budget above 0 seconds a minute, got {self.seconds_per_minute!r}; "
                "30 lets refreshes keep half of one core busy"
            )

    def target_on(self, curve: WhatIfCurve, recent: Spending, day: Spending) -> CurveTarget:
        """Return where the budget is met: see `Budget`."""
        log_odds = curve.log_odds_at(curve.refresh_s, self.seconds_per_minute / 60.0 * recent.seconds)
        return CurveTarget(log_odds, _confidence(recent.seconds, PRIOR_S))

    def overspend(self, day: Spending) -> float:
        """Return the compute seconds of refreshes, as a multiple of those allowed."""
        per_second = self.seconds_per_minute / 60.0
        return _ratio(day.spent.refresh_s + per_second * PRIOR_S, per_second * (day.seconds + PRIOR_S))

    def actual(self, day: Spending) -> float | None:
        """Return the compute seconds of refreshes a minute; None while they are not known."""
        return 60.0 * day.spent.refresh_s / day.seconds if day.seconds else None


Budget = ExtraCompute | TargetHitRatio | ComputeBudget
"""One of the three. `target_on` takes the what-if curve and the sums of the last hours and of a day.

Above 1, `overspend` raises the threshold; `actual` is in the budget's own unit; `has_cutoff` lets far too
much spending stop refreshes."""


def _confidence(amount: float, prior: float) -> float:
    return amount / (amount + prior)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0.0 else 1.0
