"""Clairvoyant renewal: the upper bound for policies that decide at the end of freshness."""

from bisect import bisect_left
from typing import NamedTuple

from warmer.simulation.policies.renewal import replay_renewals
from warmer.simulation.result import ReplayResult
from warmer.simulation.trace.by_key import KeyReads, ReadsByKey

LOOKAHEAD = 4
"""How many steps of both paths are followed; more steps change no figure by half a point."""


class _Path(NamedTuple):
    """A point on one of two paths, and its cost so far, in misses."""

    fresh_until_s: float
    row: int
    cost: float


class ClairvoyantRenewal:
    """Renews a key if the path that begins with a renewal is the cheaper one.

    A miss costs 1 and a computation `1 / patience`. Freshness that lasts longer saves computations, `1 / ttl` of one
    for each second. So a renewal up to the next read is usually worth it if that read comes within `patience` ttls. The
    rest is found by following both paths for some steps: they often meet again, and then their costs decide.

    Args:
        key: The reads, including future ones.
        ttl_s: The ttl of a value.
        patience: How many computations may be spent for each miss that is saved; above 0.

    Example:
        >>> key = KeyReads([0.0, 90.0], [1, 1], [0.0, 0.0])
        >>> ClairvoyantRenewal(key, ttl_s=60.0, patience=1.0).renew(60.0, 1, needed=1)
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
        """Compare the two paths."""
        if row == len(self._times_s) or self._times_s[row] - fresh_until_s > 4 * self._within_s:
            return 0
        if needed == 1 and self._computation <= 1.0:  # saves a miss, and costs at most one more computation later
            return 1
        start = _Path(fresh_until_s, row, 0.0)
        renewing, waiting = self._renewed(start), self._missed(start)
        for _ in range(LOOKAHEAD):
            if self._meet(renewing, waiting):
                return needed if renewing.cost <= waiting.cost else 0
            if renewing.fresh_until_s < waiting.fresh_until_s:
                renewing = self._next(renewing)
            else:
                waiting = self._next(waiting)
        return needed if self._balance(renewing) <= self._balance(waiting) else 0

    def _meet(self, one: _Path, other: _Path) -> bool:
        """Return whether both continue alike: at the end of the reads, or with a miss at the same read."""
        return one.row == other.row and not self._is_worth_it(one) and not self._is_worth_it(other)

    def _is_worth_it(self, path: _Path) -> bool:
        return path.row < len(self._times_s) and self._times_s[path.row] - path.fresh_until_s <= self._within_s

    def _next(self, path: _Path) -> _Path:
        if path.row == len(self._times_s):
            return path
        return self._renewed(path) if self._is_worth_it(path) else self._missed(path)

    def _renewed(self, path: _Path) -> _Path:
        renewals = int((self._times_s[path.row] - path.fresh_until_s) // self._ttl_s) + 1
        return self._arrived(path, path.fresh_until_s + renewals * self._ttl_s, renewals * self._computation)

    def _missed(self, path: _Path) -> _Path:
        return self._arrived(path, self._times_s[path.row] + self._ttl_s, self._computation + 1.0)

    def _arrived(self, path: _Path, fresh_until_s: float, cost: float) -> _Path:
        return _Path(fresh_until_s, bisect_left(self._times_s, fresh_until_s, path.row), path.cost + cost)

    def _balance(self, path: _Path) -> float:
        return path.cost - self._computation * path.fresh_until_s / self._ttl_s


def replay_clairvoyant(by_key: ReadsByKey, patience: float, baseline: ReplayResult) -> ReplayResult:
    """Replay clairvoyant renewal; `patience` computations may be spent for each miss that is saved."""

    def renewal_of(key: KeyReads) -> ClairvoyantRenewal:
        return ClairvoyantRenewal(key, by_key.ttl_s, patience)

    return replay_renewals(by_key, renewal_of, baseline)
