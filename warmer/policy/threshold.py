"""Feedback controller: moves the log-odds of a read that justify a refresh, so that a budget is held.

The threshold is read off the what-if curve, which is corrected by how earlier forecasts came out, and then moved in
proportion to what was over- or underspent within a day. There is no integral term, so no wind-up: the curve says at
once what each threshold would do, and only its error is fed back.
"""

import math
import struct

from warmer.errors import PolicyStateError
from warmer.policy.budget import Budget
from warmer.policy.spending import SPENDING_BYTES, Spending, Spent
from warmer.policy.what_if import BaselineTotals, CurvePoint, WhatIfCurve

CURVE_MEMORY_S = 4 * 3600.0
DAY_MEMORY_S = 24 * 3600.0

MIN_LOG_ODDS, MAX_LOG_ODDS = -4.0, 8.0
"""Bounds of the threshold: below one read in 55, no budget asks for a refresh."""

CUTOFF = 1.5
"""Spending above this multiple of the budget stops refreshes for a while."""

CORRECTION = 1.5
"""How far the threshold moves, in log-odds, for each unit of ln(spent / allowed) over a day."""

TOLERANCE, STEEP_CORRECTION = 1.1, 4.0
"""Above this overspending the threshold rises by this much more: long before the cutoff."""

MAX_ERROR = 5.0
"""Over- or underspending beyond this factor counts as this factor."""

_HEAD = struct.Struct("<dd?")


class Threshold:
    """The threshold of one account: the fleet, or a task with a budget of its own.

    Args:
        budget: How much warming may spend.

    Example:
        >>> from warmer.policy.budget import ExtraCompute
        >>> threshold = Threshold(ExtraCompute(0.25))
        >>> round(threshold.log_odds, 2)
        -0.3
        >>> threshold.observe(1_700_000_000.0, Spent(reads=10, misses=1, miss_s=0.5, baseline_misses=1, baseline_s=0.5))
        >>> threshold.is_cut_off
        False
    """

    __slots__ = ("_at_s", "_day", "_has_decided", "_recent", "budget", "is_cut_off", "log_odds", "what_if")

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.what_if = WhatIfCurve()
        self.log_odds = _bounded(budget.typical_log_odds)
        self.is_cut_off = False
        self._at_s = 0.0
        self._has_decided = False
        self._recent = Spending(CURVE_MEMORY_S)
        self._day = Spending(DAY_MEMORY_S)

    def record(self, log_odds: float, chance: float, ttls: float, cost_s: float, refresh: bool) -> None:
        """Record a decision.

        Args:
            log_odds: Of a read within the next ttl.
            chance: The same as a probability.
            ttls: How many ttls until the next decision on this target.
            cost_s: Compute seconds of its value.
            refresh: Whether it was decided to refresh.
        """
        self._has_decided = True
        avoided = self.what_if.record(log_odds, chance, ttls, cost_s)
        if refresh:
            self._day.add_forecast(cost_s * (1.0 - avoided), avoided)

    def observe(self, now_s: float, spent: Spent) -> None:
        """Move the threshold; to be called about once a second.

        Nothing counts before the first decision: the first values of all targets are computed then, and none of them
        could have been refreshed.

        Args:
            now_s: Now, in seconds since the epoch.
            spent: What was spent since the last call.
        """
        passed_s = max(now_s - self._at_s, 0.0) if self._at_s else 0.0
        self._at_s = max(now_s, self._at_s)
        if not self._has_decided:
            return
        self.what_if.decay(self._recent.decay(passed_s))
        self._day.decay(passed_s)
        self._recent.add(spent)
        self._day.add(spent)
        overspend = self.budget.overspend(self._day)
        self.is_cut_off = overspend > CUTOFF and self.budget.has_cutoff
        self.log_odds = _bounded(self._aimed_at() + _correction(overspend))

    def curve(self) -> list[CurvePoint]:
        """Return what each threshold would have done in the last hours, from the highest to the lowest."""
        seconds, spent, realized = self._recent.seconds, self._recent.spent, self._day.realized
        totals = BaselineTotals(seconds, spent.reads, spent.baseline_misses, spent.baseline_s)
        return self.what_if.points(totals, realized.extra_s, realized.avoided)

    @property
    def actual(self) -> float | None:
        """The present amount over about a day, in the budget's own unit; None before the first decision."""
        return self.budget.actual(self._day)

    def to_bytes(self) -> bytes:
        """Return the state as Redis holds it, without the budget."""
        head = _HEAD.pack(self._at_s, self.log_odds, self.is_cut_off)
        return head + self._recent.to_bytes() + self._day.to_bytes() + self.what_if.to_bytes()

    @classmethod
    def from_bytes(cls, budget: Budget, packed: bytes) -> "Threshold":
        """Return the threshold that `to_bytes` packed, under a budget that may have changed since.

        Raises:
            PolicyStateError: the bytes are not those of a threshold.
        """
        spendings_end = _HEAD.size + 2 * SPENDING_BYTES
        if len(packed) < spendings_end:
            raise PolicyStateError(
                f"expected at least {spendings_end} bytes of a threshold, got {len(packed)}; "
                "delete the key that holds it: it is found again within minutes"
            )
        threshold = cls(budget)
        threshold._at_s, threshold.log_odds, threshold.is_cut_off = _HEAD.unpack_from(packed)
        recent_end = spendings_end - SPENDING_BYTES
        threshold._recent = Spending.from_bytes(CURVE_MEMORY_S, packed[_HEAD.size : recent_end])
        threshold._day = Spending.from_bytes(DAY_MEMORY_S, packed[recent_end:spendings_end])
        threshold.what_if = WhatIfCurve.from_bytes(packed[spendings_end:])
        threshold._has_decided = threshold._recent.seconds > 0.0
        return threshold

    def _aimed_at(self) -> float:
        target, typical = self.budget.target_on(self.what_if, self._recent, self._day), self.budget.typical_log_odds
        return typical + target.confidence * (target.log_odds - typical)


def _correction(overspend: float) -> float:
    error = math.log(min(max(overspend, 1.0 / MAX_ERROR), MAX_ERROR))
    return CORRECTION * error + STEEP_CORRECTION * max(error - math.log(TOLERANCE), 0.0)


def _bounded(log_odds: float) -> float:
    return min(max(log_odds, MIN_LOG_ODDS), MAX_LOG_ODDS)
