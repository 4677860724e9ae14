"""Replays policies that decide when a value's freshness ends: renew it, or let it go."""

from collections.abc import Callable
from typing import Protocol

from warmer.simulation.course import Course, KeyReads
from warmer.simulation.replayed import Replayed
from warmer.simulation.tally import Tally


class Renewal(Protocol):
    """What decides of one key's renewals."""

    def read(self, reads: int) -> None:
        """Take note of reads that came at one moment."""

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
    course: Course, renewals: Renewals, plain: Replayed | None, peak_from_s: float | None = None
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


def _replay_key(key: KeyReads, course: Course, renewal: Renewal, tally: Tally) -> None:
    ttl_s, costs_s, reads, read = course.ttl_s, key.costs_s, key.reads, renewal.read
    fresh_until_s = key.times_s[0]
    for row, at_s in enumerate(key.times_s):
        if at_s >= fresh_until_s:
            needed = int((at_s - fresh_until_s) // ttl_s) + 1
            renewed = renewal.renew(fresh_until_s, row, needed) if row else 0
            is_hit = renewed == needed
            if renewed:
                tally.chain(fresh_until_s, renewed, costs_s[row - 1], is_hit)
                fresh_until_s += renewed * ttl_s
            if not is_hit:
                tally.miss(at_s, costs_s[row], is_first=row == 0)
                fresh_until_s = at_s + ttl_s
        read(reads[row])
    if course.end_s >= fresh_until_s:
        needed = int((course.end_s - fresh_until_s) // ttl_s) + 1
        renewed = renewal.renew(fresh_until_s, len(key.times_s), needed)
        tally.chain(fresh_until_s, renewed, costs_s[-1], is_useful=False)
