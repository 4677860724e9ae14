"""The refresh decision of a target that comes due: one decision for production, plans and simulations."""

from typing import NamedTuple

from warmer.policy.features import bins_of, packed_decision, seen_at
from warmer.policy.history import ANSWERED, LAPSED, OPEN, TO_REFRESH, History, gap_ttls
from warmer.policy.model import Model, chance_of, model_input
from warmer.policy.season import Season
from warmer.policy.threshold import Threshold

MAX_IDLE_TTLS = 200.0
"""A target that has not been read for longer is dropped from review."""

LAPSED_AFTER_TTLS = 0.5
"""A value that has not been fresh for longer has lapsed; before that, its review is only late."""

KNOWN_AFTER_TTLS = 0.9
"""A decision without a read for this long counts as not answered, even if its ttl is not quite over."""

IDLE_SHARE, MAX_DELAY_S = 0.25, 3600.0
"""A target that is not refreshed is reviewed again after this part of its idle time, but after one ttl to one hour,
as the season's load changes by the hour."""

FAR_BELOW = 1.0
"""A target this far below the threshold, in log-odds, is changed only by a read, or when a timer is about to read."""

FAR_BELOW_IDLE_SHARE, FAR_BELOW_MAX_DELAY_S = 3.0, 12 * 3600.0
"""The same two for such targets. Most reviews are theirs, and fewer reviews cost no miss that was measured."""


class Decision(NamedTuple):
    """Decision about a reviewed target.

    Args:
        refresh: Whether to refresh it now.
        next_review_s: When to review it again unless a value is published before, in seconds since the epoch; None to
            drop it until it is read again.
        chance: The chance of a read within the next ttl.
    """

    refresh: bool
    next_review_s: float | None
    chance: float


class Reviewer:
    """Decides on targets, and teaches the model from the outcomes of earlier decisions.

    Args:
        model: Predicts reads.
        season: The load by hour.

    Example:
        >>> from warmer.policy.budget import ExtraCompute
        >>> history, threshold = History(), Threshold(ExtraCompute(0.25))
        >>> for second in range(0, 60, 5):
        ...     _ = history.read(1_700_000_000.0 + second, reads=1, ttl_s=60.0)
        >>> history.published(fresh_until_s=1_700_000_060.0, cost_s=0.5)
        >>> decision = Reviewer(Model(), Season()).review(history, 1_700_000_060.0, 60.0, threshold)
        >>> decision.refresh, decision.next_review_s, round(decision.chance, 2)
        (True, 1700000120.0, 0.52)
    """

    def __init__(self, model: Model, season: Season) -> None:
        self.model = model
        self.season = season

    def review(self, history: History, now_s: float, ttl_s: float, threshold: Threshold) -> Decision:
        """Decide whether a target is refreshed now.

        The model learns from the previous decision. The new one is written into the history (`decided_s`, `flags` and
        `decision`, nothing else) and recorded in the threshold's what-if curve.

        Args:
            history: The target's reads.
            now_s: Now: the target is due, or has not been fresh for a while.
            ttl_s: Its ttl.
            threshold: Of the account that pays.
        """
        self._learn(history, now_s, ttl_s)
        idle_s = now_s - history.last_s
        if idle_s > MAX_IDLE_TTLS * ttl_s:
            history.flags = 0
            return Decision(False, None, 0.0)
        bins, poisson = bins_of(history, now_s, ttl_s, self.season.multiplier(now_s, ttl_s))
        has_lapsed = now_s >= history.fresh_until_s + LAPSED_AFTER_TTLS * ttl_s
        log_odds = self.model.log_odds(model_input(bins, has_lapsed, poisson))
        chance = chance_of(log_odds)
        refresh = log_odds >= threshold.log_odds and not threshold.is_cut_off
        delay_s = ttl_s if refresh else _delay_s(history, idle_s, ttl_s, log_odds - threshold.log_odds)
        threshold.record(log_odds, chance, delay_s / ttl_s, history.cost_s, refresh)
        history.decided_s = now_s
        history.decision = packed_decision(bins, poisson, log_odds)
        history.flags = OPEN | (TO_REFRESH if refresh else 0) | (LAPSED if has_lapsed else 0)
        return Decision(refresh, now_s + delay_s, chance)

    def predict(self, history: History, now_s: float, ttl_s: float) -> float:
        """Return the log-odds of a read within a ttl from `now_s` on, not before the latest read; changes nothing."""
        bins, poisson = bins_of(history, now_s, ttl_s, self.season.multiplier(now_s, ttl_s))
        has_lapsed = now_s >= history.fresh_until_s + LAPSED_AFTER_TTLS * ttl_s
        return self.model.log_odds(model_input(bins, has_lapsed, poisson))

    def _learn(self, history: History, now_s: float, ttl_s: float) -> None:
        flags = history.flags
        if not flags & OPEN:
            return
        was_read = bool(flags & ANSWERED)
        if was_read or now_s >= history.decided_s + KNOWN_AFTER_TTLS * ttl_s:
            self.model.learn(seen_at(history.decision, bool(flags & LAPSED)), was_read)


def _delay_s(history: History, idle_s: float, ttl_s: float, above_threshold: float) -> float:
    """Return how long until a target that is not refreshed is reviewed again: it grows with the idle time."""
    if above_threshold >= -FAR_BELOW:
        return max(ttl_s, min(IDLE_SHARE * idle_s, MAX_DELAY_S))
    until_dropped_s = MAX_IDLE_TTLS * ttl_s - idle_s
    delay_s = min(FAR_BELOW_IDLE_SHARE * idle_s, FAR_BELOW_MAX_DELAY_S, until_dropped_s)
    until_timer_s = gap_ttls(history.gap) * ttl_s - idle_s if history.gap else 0.0
    return max(ttl_s, until_timer_s if 0.0 < until_timer_s < delay_s else delay_s)
