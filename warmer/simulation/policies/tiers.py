"""Fixed tiers of refresh intervals: the more a key is read, the more often it is refreshed (as in the quick start)."""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise
from math import inf

from warmer.simulation.result import ReplayResult
from warmer.simulation.tally import Tally
from warmer.simulation.trace.by_key import KeyReads, ReadsByKey

WINDOW_S = 3600.0
"""Reads per minute are those of the last hour."""
MAX_INTERVAL_S = 7200.0
TIERS = ((1.0, 900.0), (0.5, 1800.0), (0.1, 3600.0))
"""Above this many reads per minute, refreshed every so many seconds."""


def interval_s(reads_per_minute: float) -> float:
    """Return the refresh interval of a key.

    Example:
        >>> [interval_s(rate) / 60 for rate in (2.0, 0.7, 0.2, 0.1)]
        [15.0, 30.0, 60.0, 120.0]
    """
    return next((every_s for above, every_s in TIERS if reads_per_minute > above), MAX_INTERVAL_S)


def replay_tiers(by_key: ReadsByKey, baseline: ReplayResult) -> ReplayResult:
    """Replay the tiers: from its first read on each key is refreshed on its schedule, whether it is fresh or not."""
    tally = Tally(by_key)
    for key in by_key.keys:
        _replay_key(key, by_key, tally)
    return tally.result(baseline)


def _replay_key(key: KeyReads, by_key: ReadsByKey, tally: Tally) -> None:
    times_s, costs_s = key.times_s, key.costs_s
    tally.miss(times_s[0], costs_s[0], is_first=True)
    fresh_until_s, row = times_s[0], 0
    for published_s, next_s in pairwise([times_s[0], *_refreshes_s(key, by_key.end_s), inf]):
        before_s, fresh_until_s = fresh_until_s, published_s + by_key.ttl_s
        if row:
            tally.refresh(published_s, costs_s[row - 1])
            if not _is_read(key, max(published_s, before_s), min(fresh_until_s, next_s)):
                tally.waste(published_s)
        while row < len(times_s) and times_s[row] < next_s:
            if times_s[row] >= fresh_until_s:
                tally.miss(times_s[row], costs_s[row], is_first=False)
                fresh_until_s = times_s[row] + by_key.ttl_s
            row += 1


def _refreshes_s(key: KeyReads, end_s: float) -> Iterator[float]:
    """Yield the times at which the key is refreshed."""

    def reads_until(at_s: float) -> int:
        return key.reads_before[bisect_left(key.times_s, at_s)]

    at_s = key.times_s[0]
    while True:
        reads_per_minute = (reads_until(at_s) - reads_until(at_s - WINDOW_S)) * 60.0 / WINDOW_S
        at_s += interval_s(reads_per_minute)
        if at_s > end_s:
            return
        yield at_s


def _is_read(key: KeyReads, from_s: float, until_s: float) -> bool:
    row = bisect_left(key.times_s, from_s)
    return row < len(key.times_s) and key.times_s[row] < until_s
