"""Replays policies that decide when a value's freshness ends: renew it, or let it go."""

from bisect import bisect_left
from collections.abc import Callable
from typing import Protocol

from warmer.simulation.result import Replayed
from warmer.simulation.tally import Tally
from warmer.simulation.trace.by_key import KeyReads, ReadsByKey


class Renewal(Protocol):
    """What decides of one key's renewals."""

    def read(self, reads: int) -> None:
        """Take note of the reads that came since the last time."""

    def renew(self, fresh_until_s: float, row: int, needed: int) -> int:
        """Return how often in a row to renew, from 0 to what is needed.

        Args:
            fresh_until_s: When freshness ends; each renewal prolongs it by one ttl.
            row: The row of the key's next reads; only a clairvoyant looks at it.
            needed: How many renewals reach up to those reads, or to the end of the trace.
        """


Renewals = Callable[[KeyReads], Renewal]
"""Makes what decides of one key, given its reads."""


def replay_renewals(
    course: ReadsByKey, renewals: Renewals, plain: Replayed | None, peak_from_s: float | None = None
) -> Replayed:
    """Replay a policy that renews at the end of freshness, or not at all.

    Args:
        course: What is replayed.
        renewals: Makes what decides of each key.
        plain: What a plain cache did on the same course; None for a plain cache.
        peak_from_s: See `Tally`.
    """
    tally = Tally(course, peak_from_s)
    for key in course.keys:
        _replay_key(key, course, renewals(key), tally)
    return tally.replayed(plain)


def _replay_key(key: KeyReads, course: ReadsByKey, renewal: Renewal, tally: Tally) -> None:
    """Go from one end of freshness to the next: the reads between them are hits."""
    times_s, costs_s, ttl_s = key.times_s, key.costs_s, course.ttl_s
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
    if course.end_s >= fresh_until_s:
        renewed = renewal.renew(fresh_until_s, row, _renewals_up_to(course.end_s, fresh_until_s, ttl_s))
        tally.chain(fresh_until_s, renewed, costs_s[-1], is_useful=False)


def _renewals_up_to(at_s: float, fresh_until_s: float, ttl_s: float) -> int:
    return int((at_s - fresh_until_s) // ttl_s) + 1
