"""Renewal that knows every read to come: the bound for all that decide at the end of freshness."""

from bisect import bisect_left
from typing import NamedTuple

from warmer.simulation.policies.renewal import replay_renewals
from warmer.simulation.result import Replayed
from warmer.simulation.trace.by_key import KeyReads, ReadsByKey

LOOKAHEAD = 4
"""How many steps the two ways from a decision are followed; more change no figure by half a point."""


class _Way(NamedTuple):
    """Where a way has led, and what it has cost so far, in misses."""

    fresh_until_s: float
    row: int
    cost: float


class Foresight:
    """Renews a key if that, with all that follows, is the cheaper way.

    A miss costs 1 and a computation costs `1 / patience`. Freshness that reaches further is worth the computations that
    it saves, `1 / ttl` of one for each second. So to renew up to the next read is worth it, as a rule, if that read
    comes within `patience` ttls. What the rule does not see is seen by going both ways for some steps: they often meet
    again, and then what each has cost decides.

    Args:
        key: The reads, also those to come.
        ttl_s: How long a value is fresh.
        patience: How many computations may be spent for each miss that is saved; above 0.

    Example:
        >>> key = KeyReads([0.0, 90.0], [1, 1], [0.0, 0.0])
        >>> Foresight(key, ttl_s=60.0, patience=1.0).renew(60.0, 1, needed=1)
        1
    """

    def __init__(self, key: KeyReads, ttl_s: float, patience: float) -> None:
        self._times_s = key.times_s
        self._ttl_s = ttl_s
        self._computation = 1.0 / patience
        self._within_s = patience * ttl_s

    def read(self, reads: int) -> None:
        """Learn nothing: all is known."""

    def renew(self, fresh_until_s: float, row: int, needed: int) -> int:
        """Compare the two ways."""
        if row == len(self._times_s) or self._times_s[row] - fresh_until_s > 4 * self._within_s:
            return 0
        if (
            needed == 1 and self._computation <= 1.0
        ):  # it saves a miss, and at most one more computation is needed later
            return 1
        renewing, waiting = self._renewed(_Way(fresh_until_s, row, 0.0)), self._missed(_Way(fresh_until_s, row, 0.0))
        for _ in range(LOOKAHEAD):
            if self._meet(renewing, waiting):
                return needed if renewing.cost <= waiting.cost else 0
            if renewing.fresh_until_s < waiting.fresh_until_s:
                renewing = self._next(renewing)
            else:
                waiting = self._next(waiting)
        return needed if self._balance(renewing) <= self._balance(waiting) else 0

    def _meet(self, one: _Way, other: _Way) -> bool:
        """Say whether both go on alike: at the end of the reads, or with a miss at the same read."""
        return one.row == other.row and not self._is_worth_it(one) and not self._is_worth_it(other)

    def _is_worth_it(self, way: _Way) -> bool:
        return way.row < len(self._times_s) and self._times_s[way.row] - way.fresh_until_s <= self._within_s

    def _next(self, way: _Way) -> _Way:
        if way.row == len(self._times_s):
            return way
        return self._renewed(way) if self._is_worth_it(way) else self._missed(way)

    def _renewed(self, way: _Way) -> _Way:
        renewals = int((self._times_s[way.row] - way.fresh_until_s) // self._ttl_s) + 1
        return self._arrived(way, way.fresh_until_s + renewals * self._ttl_s, renewals * self._computation)

    def _missed(self, way: _Way) -> _Way:
        return self._arrived(way, self._times_s[way.row] + self._ttl_s, self._computation + 1.0)

    def _arrived(self, way: _Way, fresh_until_s: float, cost: float) -> _Way:
        return _Way(fresh_until_s, bisect_left(self._times_s, fresh_until_s, way.row), way.cost + cost)

    def _balance(self, way: _Way) -> float:
        return way.cost - self._computation * way.fresh_until_s / self._ttl_s


def replay_clairvoyant(course: ReadsByKey, patience: float, plain: Replayed) -> Replayed:
    """Replay renewal with foresight; `patience` computations may be spent for each miss that is saved."""

    def renewals(key: KeyReads) -> Foresight:
        return Foresight(key, course.ttl_s, patience)

    return replay_renewals(course, renewals, plain)
