"""What a knob asks of the price: how far down the what-if curve to go, and how far from it the spending is."""

import math
from typing import NamedTuple

from warmer.policy.knob import ComputeBudget, ExtraCompute, Knob, TargetHitRatio
from warmer.policy.spending import Spending
from warmer.policy.whatif import WhatIf

STEADY_MISSES, STEADY_S = 20.0, 600.0
"""Sums over fewer computations, or seconds, say little yet, and are mixed with what is typical."""


class Aim(NamedTuple):
    """A point of the what-if curve.

    Args:
        log_odds: The price there.
        confidence: How much to trust it, from 0 to 1.
    """

    log_odds: float
    confidence: float


def typical_log_odds(knob: Knob) -> float:
    """Return the price to begin with: for extra compute, what held on traces of many kinds.

    Example:
        >>> round(typical_log_odds(ExtraCompute(0.1)), 1), typical_log_odds(ComputeBudget(30))
        (0.9, 0.0)
    """
    if isinstance(knob, ExtraCompute):
        return -0.3 - 1.3 * math.log(knob.share / 0.25)
    return 0.0


def aim(knob: Knob, what_if: WhatIf, lately: Spending, today: Spending) -> Aim:
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
            return Aim(log_odds, _confidence(lately.spent.plain_misses, STEADY_MISSES))
        case TargetHitRatio(ratio):
            too_many = lately.spent.plain_misses - (1.0 - ratio) * lately.spent.reads
            log_odds = what_if.log_odds_at(what_if.avoided, too_many / today.kept.avoided)
            return Aim(log_odds, _confidence(lately.spent.plain_misses, STEADY_MISSES))
        case ComputeBudget(seconds_per_minute):
            log_odds = what_if.log_odds_at(what_if.refresh_s, seconds_per_minute / 60.0 * lately.seconds)
            return Aim(log_odds, _confidence(lately.seconds, STEADY_S))


def spent_over_allowed(knob: Knob, today: Spending) -> float:
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
