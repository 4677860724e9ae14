"""The price of a refresh: the log-odds of a read that it has to reach, so that a knob is held.

The price is read off the what-if curve, whose promise is corrected by how earlier promises turned out, and then moved
in proportion to what has been over- or underspent within a day. There is nothing to wind up: the curve knows at once
what each price would do, and only its error is fed back.
"""

import math
import struct
from typing import NamedTuple

from warmer.errors import PolicyStateError
from warmer.policy.budget import Budget, ComputeBudget, ExtraCompute, TargetHitRatio
from warmer.policy.spending import SPENDING_BYTES, Spending, Spent
from warmer.policy.what_if import Point, Totals, WhatIf

STEADY_MISSES, STEADY_S = 20.0, 600.0
"""Sums over fewer computations, or seconds, say little yet, and are mixed with what is typical."""


class ThresholdAim(NamedTuple):
    """A point of the what-if curve.

    Args:
        log_odds: The price there.
        confidence: How much to trust it, from 0 to 1.
    """

    log_odds: float
    confidence: float


def typical_log_odds(knob: Budget) -> float:
    """Return the price to begin with: for extra compute, what held on traces of many kinds.

    Example:
        >>> round(typical_log_odds(ExtraCompute(0.1)), 1), typical_log_odds(ComputeBudget(30))
        (0.9, 0.0)
    """
    if isinstance(knob, ExtraCompute):
        return -0.3 - 1.3 * math.log(knob.share / 0.25)
    return 0.0


def aim(knob: Budget, what_if: WhatIf, lately: Spending, today: Spending) -> ThresholdAim:
    """Return where on the what-if curve the knob is met.

    Args:
        knob: What warming may do.
        what_if: The decisions of the last hours.
        lately: What was spent meanwhile.
        today: What was spent within a day, and what the curve had promised.
    """
    match knob:
        case ExtraCompute(share):
            log_odds = what_if.log_odds_at(what_if.extra_s, share * lately.spent.plain_s / today.kept.extra_s)
            return ThresholdAim(log_odds, _confidence(lately.spent.plain_misses, STEADY_MISSES))
        case TargetHitRatio(ratio):
            too_many = lately.spent.plain_misses - (1.0 - ratio) * lately.spent.reads
            log_odds = what_if.log_odds_at(what_if.avoided, too_many / today.kept.avoided)
            return ThresholdAim(log_odds, _confidence(lately.spent.plain_misses, STEADY_MISSES))
        case ComputeBudget(seconds_per_minute):
            log_odds = what_if.log_odds_at(what_if.refresh_s, seconds_per_minute / 60.0 * lately.seconds)
            return ThresholdAim(log_odds, _confidence(lately.seconds, STEADY_S))


def spent_over_allowed(knob: Budget, today: Spending) -> float:
    """Return how many times what the knob allows was spent within a day; for a hit ratio, of misses it is the inverse.

    Above 1 the price has to rise. Sums that are still small count as if something had been spent as allowed before.

    Args:
        knob: What warming may do.
        today: What was spent within a day.
    """
    match knob:
        case ExtraCompute(share):
            before_s = STEADY_MISSES * today.mean_cost_s
            return _ratio(today.extra_s + share * before_s, share * (today.spent.plain_s + before_s))
        case TargetHitRatio(ratio):
            return _ratio((1.0 - ratio) * today.spent.reads + STEADY_MISSES, today.spent.misses + STEADY_MISSES)
        case ComputeBudget(seconds_per_minute):
            per_second = seconds_per_minute / 60.0
            return _ratio(today.spent.refresh_s + per_second * STEADY_S, per_second * (today.seconds + STEADY_S))


def _confidence(amount: float, steady: float) -> float:
    return amount / (amount + steady)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0.0 else 1.0


CURVE_MEMORY_S = 4 * 3600.0
DAY_MEMORY_S = 24 * 3600.0

LOWEST_PRICE, HIGHEST_PRICE = -4.0, 8.0
"""Log-odds between which the price stays: below one read in 55 no knob asks for a refresh."""

FUSE = 1.5
"""What may be spent, as a multiple of the knob, before refreshing stops for a while."""

CORRECTION = 1.5
"""How far the price moves, in log-odds, for each unit of ln(spent / allowed) over a day."""

TOLERANCE, STEEP_CORRECTION = 1.1, 4.0
"""Beyond this over-spending the price rises so much more: long before the fuse blows."""

WIDEST_ERROR = 5.0
"""An over- or underspending beyond this factor counts as this factor."""

_HEAD = struct.Struct("<dd?")


class Threshold:
    """Holds one knob: the fleet's, or that of a task that has its own.

    Args:
        knob: What warming may do.

    Example:
        >>> from warmer.policy.budget import ExtraCompute
        >>> price = Threshold(ExtraCompute(0.25))
        >>> round(price.log_odds, 2)
        -0.3
        >>> price.observe(1_700_000_000.0, Spent(reads=10, misses=1, miss_s=0.5, plain_misses=1, plain_s=0.5))
        >>> price.is_blown
        False
    """

    __slots__ = ("_at_s", "_has_decided", "_lately", "_today", "is_blown", "knob", "log_odds", "what_if")

    def __init__(self, knob: Budget) -> None:
        """Begin at a typical price."""
        self.knob = knob
        self.what_if = WhatIf()
        self.log_odds = _bounded(typical_log_odds(knob))
        self.is_blown = False
        self._at_s = 0.0
        self._has_decided = False
        self._lately = Spending(CURVE_MEMORY_S)
        self._today = Spending(DAY_MEMORY_S)

    def note(self, log_odds: float, chance: float, ttls: float, cost_s: float, refresh: bool) -> None:
        """Note a decision.

        Args:
            log_odds: Of a read within the next ttl.
            chance: The same as a chance.
            ttls: How long it is until the next decision on this target.
            cost_s: What its computation takes.
            refresh: Whether it was to refresh.
        """
        self._has_decided = True
        avoided = self.what_if.note(log_odds, chance, ttls, cost_s)
        if refresh:
            self._today.foresee(cost_s * (1.0 - avoided), avoided)

    def observe(self, now_s: float, spent: Spent) -> None:
        """Move the price; to be called about once a second.

        Nothing counts before the first decision: until then the first values of all targets are computed, and none
        could have been refreshed.

        Args:
            now_s: Now.
            spent: What was spent since the last time.
        """
        passed_s = max(now_s - self._at_s, 0.0) if self._at_s else 0.0
        self._at_s = max(now_s, self._at_s)
        if not self._has_decided:
            return
        self.what_if.fade(self._lately.pass_by(passed_s))
        self._today.pass_by(passed_s)
        self._lately.add(spent)
        self._today.add(spent)
        over = spent_over_allowed(self.knob, self._today)
        self.is_blown = over > FUSE and not isinstance(self.knob, TargetHitRatio)
        self.log_odds = _bounded(self._aimed_at() + _correction(over))

    def curve(self) -> list[Point]:
        """Return what each price would have done within the last hours, from the highest to the lowest."""
        seconds, spent, kept = self._lately.seconds, self._lately.spent, self._today.kept
        totals = Totals(seconds, spent.reads, spent.plain_misses, spent.plain_s)
        return self.what_if.curve(totals, kept.extra_s, kept.avoided)

    @property
    def holds_at(self) -> float | None:
        """Return where the knob stands, in its own unit, over about a day; None before the first decision."""
        spent, seconds = self._today.spent, self._today.seconds
        match self.knob:
            case ExtraCompute():
                return self._today.extra_s / spent.plain_s if spent.plain_s else None
            case TargetHitRatio():
                return 1.0 - spent.misses / spent.reads if spent.reads else None
            case ComputeBudget():
                return 60.0 * spent.refresh_s / seconds if seconds else None

    def to_bytes(self) -> bytes:
        """Return the price as Redis holds it; the knob is not part of it."""
        head = _HEAD.pack(self._at_s, self.log_odds, self.is_blown)
        return head + self._lately.to_bytes() + self._today.to_bytes() + self.what_if.to_bytes()

    @classmethod
    def from_bytes(cls, knob: Budget, packed: bytes) -> "Threshold":
        """Return the price that these bytes say, under a knob that may have been turned meanwhile.

        Args:
            knob: What warming may do.
            packed: What `to_bytes` gave.

        Raises:
            PolicyStateError: the bytes are not a price's.

        Example:
            >>> from warmer.policy.budget import ExtraCompute
            >>> Threshold.from_bytes(ExtraCompute(0.1), Threshold(ExtraCompute(0.1)).to_bytes()).is_blown
            False
        """
        spendings_end = _HEAD.size + 2 * SPENDING_BYTES
        if len(packed) < spendings_end:
            raise PolicyStateError(
                f"expected at least {spendings_end} bytes of a price, got {len(packed)}; "
                "delete the key that holds it: it is found anew within minutes"
            )
        price = cls(knob)
        price._at_s, price.log_odds, price.is_blown = _HEAD.unpack_from(packed)
        price._lately = Spending.from_bytes(CURVE_MEMORY_S, packed[_HEAD.size : spendings_end - SPENDING_BYTES])
        price._today = Spending.from_bytes(DAY_MEMORY_S, packed[spendings_end - SPENDING_BYTES : spendings_end])
        price.what_if = WhatIf.from_bytes(packed[spendings_end:])
        price._has_decided = price._lately.seconds > 0.0
        return price

    def _aimed_at(self) -> float:
        on_curve, typical = aim(self.knob, self.what_if, self._lately, self._today), typical_log_odds(self.knob)
        return typical + on_curve.confidence * (on_curve.log_odds - typical)


def _correction(over: float) -> float:
    error = math.log(min(max(over, 1.0 / WIDEST_ERROR), WIDEST_ERROR))
    return CORRECTION * error + STEEP_CORRECTION * max(error - math.log(TOLERANCE), 0.0)


def _bounded(log_odds: float) -> float:
    return min(max(log_odds, LOWEST_PRICE), HIGHEST_PRICE)
