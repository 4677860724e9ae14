"""XFetch (probabilistic early expiration): a read shortly before the end of freshness may start a refresh.

Source: Vattani, Chierichetti and Lowenstein, "Optimal probabilistic cache stampede prevention" (VLDB 2015). The refresh
runs in the background here: the read that starts it gets the value that is still fresh.
"""

from bisect import bisect_left
from math import exp, inf
from random import Random

from warmer.simulation.result import ReplayResult
from warmer.simulation.tally import UNKNOWN_COST_S, Tally
from warmer.simulation.trace.by_key import KeyReads, ReadsByKey

NEGLIGIBLE_SCALES = 38.0
"""This many scales before the end of freshness, the chance of a refresh is 0 in floating point."""


def replay_xfetch(by_key: ReadsByKey, beta: float, baseline: ReplayResult) -> ReplayResult:
    """Replay XFetch: a read starts a refresh if `now - cost * beta * ln(random())` is past the end of freshness.

    Args:
        by_key: The reads to replay; without costs, each computation counts as 1 second.
        beta: How early; 1 in the source, more to spend more.
        baseline: The baseline's result on the same reads.
    """
    tally, random = Tally(by_key), Random(1)
    for key in by_key.keys:
        _replay_key(key, by_key, beta, tally, random)
    return tally.result(baseline)


def _replay_key(key: KeyReads, by_key: ReadsByKey, beta: float, tally: Tally, random: Random) -> None:
    """Step from one computation to the next; a refresh is judged at the next one, or at the end."""
    times_s, costs_s, row = key.times_s, key.costs_s, 0
    tally.miss(times_s[0], costs_s[0], is_first=True)
    fresh_until_s = times_s[0] + by_key.ttl_s
    refreshed_s, useful_from_s = 0.0, -inf
    while True:
        row = _next_computation(key, row, fresh_until_s, beta, random)
        is_miss = row == len(times_s) or times_s[row] >= fresh_until_s
        if times_s[row - is_miss] < useful_from_s:
            tally.waste(refreshed_s)
        if row == len(times_s):
            return
        if is_miss:
            tally.miss(times_s[row], costs_s[row], is_first=False)
            useful_from_s = -inf
        else:
            tally.refresh(times_s[row], costs_s[row])
            refreshed_s, useful_from_s = times_s[row], fresh_until_s
        fresh_until_s = times_s[row] + by_key.ttl_s


def _next_computation(key: KeyReads, row: int, fresh_until_s: float, beta: float, random: Random) -> int:
    """Return the row of the reads that start the next computation; the number of rows if none do."""
    times_s, reads, costs_s = key.times_s, key.reads, key.costs_s
    earliest_s = fresh_until_s - NEGLIGIBLE_SCALES * beta * (key.max_cost_s or UNKNOWN_COST_S)
    for candidate in range(bisect_left(times_s, earliest_s, row + 1), len(times_s)):
        left_s = fresh_until_s - times_s[candidate]
        if left_s <= 0.0:
            return candidate
        scale_s = beta * (costs_s[candidate] or UNKNOWN_COST_S)
        if random.random() < chance_of_refresh(left_s, scale_s, reads[candidate]):
            return candidate
    return len(times_s)


def chance_of_refresh(left_s: float, scale_s: float, reads: int) -> float:
    """Return the chance that at least one of some simultaneous reads starts a refresh.

    Args:
        left_s: How much longer the value is fresh.
        scale_s: The computation's cost times beta.
        reads: How many reads.

    Example:
        >>> round(chance_of_refresh(left_s=10.0, scale_s=10.0, reads=1), 3)
        0.368
    """
    return 1.0 - (1.0 - exp(-left_s / scale_s)) ** reads
