"""Replay of renewal policies: at the end of freshness, a value is renewed or expires."""

from bisect import bisect_left
from collections.abc import Callable
from typing import Protocol

from warmer.simulation.result import ReplayResult
from warmer.simulation.tally import Tally
from warmer.simulation.trace.by_key import KeyReads, ReadsByKey


class Renewal(Protocol):
    """Decides on the renewals of one key."""

    def read(self, reads: int) -> None:
        """Count the reads since the last call."""

    def renew(self, fresh_until_s: float, row: int, needed: int) -> int:
        """Return how many times in a row to renew, from 0 to `needed`.

        Args:
            fresh_until_s: When freshness ends; each renewal extends it by one ttl.
            row: The row of the key's next reads; for clairvoyant policies only.
            needed: How many renewals reach up to those reads, or to the end of the trace.
        """


def replay_renewals(
    by_key: ReadsByKey,
    renewal_of: Callable[[KeyReads], Renewal],
    baseline: ReplayResult | None,
    peak_from_s: float | None = None,
) -> ReplayResult:
    """Replay a policy that renews at the end of freshness, or not at all.

    Args:
        by_key: The reads to replay.
        renewal_of: Makes the policy of one key.
        baseline: The baseline's result on the same reads; None if this is the baseline.
        peak_from_s: See `Tally`.
    """
    tally = Tally(by_key, peak_from_s)
    for key in by_key.keys:
        _replay_key(key, by_key, renewal_of(key), tally)
    return tally.result(baseline)


def _replay_key(key: KeyReads, by_key: ReadsByKey, renewal: Renewal, tally: Tally) -> None:
    """Step from one end of freshness to the next: the reads between them are hits."""
    times_s, costs_s, ttl_s = key.times_s, key.costs_s, by_key.ttl_s
    fresh_until_s, row = times_s[0], 0
    while row < len(times_s):
        needed = _renewals_up_to(times_s[row], fresh_until_s, ttl_s)
        renewed = renewal.renew(fresh_until_s, row, needed) if row else 0
        is_hit = renewed == needed
        if renewed:
            tally.chain(fresh_until_s, renewed, costs_s[row - 1], is_hit)
        if is_hit:
            fresh_until_s += renewed * ttl_s
        else:
            tally.miss(times_s[row], costs_s[row], is_first=row == 0)
            fresh_until_s = times_s[row] + ttl_s
        next_row = bisect_left(times_s, fresh_until_s, row + 1)
        renewal.read(key.reads_before[next_row] - key.reads_before[row])
        row = next_row
    if by_key.end_s >= fresh_until_s:
        renewed = renewal.renew(fresh_until_s, row, _renewals_up_to(by_key.end_s, fresh_until_s, ttl_s))
        tally.chain(fresh_until_s, renewed, costs_s[-1], is_useful=False)


def _renewals_up_to(at_s: float, fresh_until_s: float, ttl_s: float) -> int:
    return int((at_s - fresh_until_s) // ttl_s) + 1
