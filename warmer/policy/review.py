"""Whether a target that comes due is refreshed: the one decision, for production, plans and simulations."""

from typing import NamedTuple

from warmer.policy.features import bins_of, packed_decision, sight_of
from warmer.policy.history import ANSWERED, LAPSED, OPEN, TO_REFRESH, History, gap_ttls
from warmer.policy.model import Model, chance_of, sight
from warmer.policy.season import Season
from warmer.policy.threshold import Threshold

LONGEST_IDLE_TTLS = 200.0
"""A target that nobody has read for longer is let go."""

LAPSED_AFTER_TTLS = 0.5
"""A value that has not been fresh for longer has lapsed; before, its review is only late."""

KNOWN_AFTER_TTLS = 0.9
"""A decision that no read came after for this long was not answered, even if its ttl is not quite over."""

PATIENCE = 0.25
"""A target that was let be is reviewed again after this part of the time it has been idle, at least one ttl."""

LONGEST_PATIENCE_S = 3600.0
"""The season's load changes by the hour."""

HOPELESS = 1.0
"""So far below the price, in log-odds, only a read will change much, or that a timer's next read is near."""

PATIENCE_WITHOUT_HOPE, LONGEST_PATIENCE_WITHOUT_HOPE_S = 3.0, 12 * 3600.0
"""The same two for such targets: asking them less often cost no miss that was measured, and most reviews are theirs."""


class Decision(NamedTuple):
    """What to do with a target that was reviewed.

    Args:
        refresh: Whether to refresh it now.
        again_s: When to review it again unless a value is published before; None to let it go, until it is read again.
        chance: The chance of a read within the next ttl.
    """

    refresh: bool
    again_s: float | None
    chance: float


class Reviewer:
    """Decides, and learns from what came of earlier decisions.

    Args:
        model: What has been learnt of all targets.
        season: The load by hour.

    Example:
        >>> from warmer.policy.budget import ExtraCompute
        >>> history, price = History(), Threshold(ExtraCompute(0.25))
        >>> for second in range(0, 60, 5):
        ...     _ = history.read(1_700_000_000.0 + second, reads=1, ttl_s=60.0)
        >>> history.published(fresh_until_s=1_700_000_060.0, cost_s=0.5)
        >>> verdict = Reviewer(Model(), Season()).review(history, 1_700_000_060.0, 60.0, price)
        >>> verdict.refresh, verdict.again_s, round(verdict.chance, 2)
        (True, 1700000120.0, 0.52)
    """

    def __init__(self, model: Model, season: Season) -> None:
        """Begin with what is known."""
        self.model = model
        self.season = season

    def review(self, history: History, now_s: float, ttl_s: float, price: Threshold) -> Decision:
        """Decide whether a target is refreshed now.

        What came of its previous decision is learnt from; the new one is written into the history (`decided_s`,
        `flags` and `decision`; nothing else of it changes) and noted in the price's what-if curve.

        Args:
            history: What is remembered of the target.
            now_s: Now: the target is due, or has not been fresh for a while.
            ttl_s: Its ttl.
            price: What a refresh has to be worth.
        """
        self._learn(history, now_s, ttl_s)
        idle_s = now_s - history.last_s
        if idle_s > LONGEST_IDLE_TTLS * ttl_s:
            history.flags = 0
            return Decision(False, None, 0.0)
        bins, poisson = bins_of(history, now_s, ttl_s, self.season.multiplier(now_s, ttl_s))
        has_lapsed = now_s >= history.fresh_until_s + LAPSED_AFTER_TTLS * ttl_s
        log_odds = self.model.log_odds(sight(bins, has_lapsed, poisson))
        chance = chance_of(log_odds)
        refresh = log_odds >= price.log_odds and not price.is_blown
        wait_s = ttl_s if refresh else _patience_s(history, idle_s, ttl_s, log_odds - price.log_odds)
        price.note(log_odds, chance, wait_s / ttl_s, history.cost_s, refresh)
        history.decided_s = now_s
        history.decision = packed_decision(bins, poisson, log_odds)
        history.flags = OPEN | (TO_REFRESH if refresh else 0) | (LAPSED if has_lapsed else 0)
        return Decision(refresh, now_s + wait_s, chance)

    def foresee(self, history: History, now_s: float, ttl_s: float) -> float:
        """Return the log-odds of a read within the next ttl; nothing is decided or learnt.

        Args:
            history: What is remembered of the target.
            now_s: The moment that is asked about, not before its latest read.
            ttl_s: Its ttl.
        """
        bins, poisson = bins_of(history, now_s, ttl_s, self.season.multiplier(now_s, ttl_s))
        has_lapsed = now_s >= history.fresh_until_s + LAPSED_AFTER_TTLS * ttl_s
        return self.model.log_odds(sight(bins, has_lapsed, poisson))

    def _learn(self, history: History, now_s: float, ttl_s: float) -> None:
        flags = history.flags
        if not flags & OPEN:
            return
        was_read = bool(flags & ANSWERED)
        if was_read or now_s >= history.decided_s + KNOWN_AFTER_TTLS * ttl_s:
            self.model.learn(sight_of(history.decision, bool(flags & LAPSED)), was_read)


def _patience_s(history: History, idle_s: float, ttl_s: float, beyond_price: float) -> float:
    """Return how long a target is let be before it is reviewed again: the longer, the longer it has been idle."""
    if beyond_price >= -HOPELESS:
        return max(ttl_s, min(PATIENCE * idle_s, LONGEST_PATIENCE_S))
    until_let_go_s = LONGEST_IDLE_TTLS * ttl_s - idle_s
    wait_s = min(PATIENCE_WITHOUT_HOPE * idle_s, LONGEST_PATIENCE_WITHOUT_HOPE_S, until_let_go_s)
    until_next_s = gap_ttls(history.gap) * ttl_s - idle_s if history.gap else 0.0
    return max(ttl_s, until_next_s if 0.0 < until_next_s < wait_s else wait_s)
