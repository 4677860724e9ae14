"""XFetch: a read shortly before the end of freshness may begin a refresh, by lot.

Source: Vattani, Chierichetti and Lowenstein, "Optimal probabilistic cache stampede prevention" (VLDB 2015). The refresh
runs in the background here: the read that begins it is served the value that is still fresh.
"""

from bisect import bisect_left
from math import exp, inf
from random import Random

from warmer.simulation.result import Replayed
from warmer.simulation.tally import UNKNOWN_COST_S, Tally
from warmer.simulation.trace.by_key import KeyReads, ReadsByKey

NO_CHANCE = 38.0
"""So many scales before the end of freshness, the chance of a refresh is 0 in the numbers of a computer."""


def replay_xfetch(course: ReadsByKey, beta: float, plain: Replayed) -> Replayed:
    """Replay XFetch: a read begins a refresh if `now - cost * beta * ln(random())` is past the end of freshness.

    Args:
        course: What is replayed; where it has no costs, each computation is taken to cost 1 second.
        beta: How early; 1 in the source, more to spend more.
        plain: What a plain cache did on the same course.
    """
    tally, random = Tally(course), Random(1)
    for key in course.keys:
        _replay_key(key, course, beta, tally, random)
    return tally.replayed(plain)


def _replay_key(key: KeyReads, course: ReadsByKey, beta: float, tally: Tally, random: Random) -> None:
    """Go from one computation to the next; a refresh is judged when the next one comes, or the end."""
    times_s, costs_s, row = key.times_s, key.costs_s, 0
    tally.miss(times_s[0], costs_s[0], is_first=True)
    fresh_until_s = times_s[0] + course.ttl_s
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
        fresh_until_s = times_s[row] + course.ttl_s


def _next_computation(key: KeyReads, row: int, fresh_until_s: float, beta: float, random: Random) -> int:
    """Return the row of the reads that begin the next computation; the number of rows if none do."""
    times_s, reads, costs_s = key.times_s, key.reads, key.costs_s
    earliest_s = fresh_until_s - NO_CHANCE * beta * (key.highest_cost_s or UNKNOWN_COST_S)
    for candidate in range(bisect_left(times_s, earliest_s, row + 1), len(times_s)):
        left_s = fresh_until_s - times_s[candidate]
        if left_s <= 0.0:
            return candidate
        scale_s = beta * (costs_s[candidate] or UNKNOWN_COST_S)
        if random.random() < chance_of_refresh(left_s, scale_s, reads[candidate]):
            return candidate
    return len(times_s)


def chance_of_refresh(left_s: float, scale_s: float, reads: int) -> float:
    """Return the chance that one of some reads at one moment begins a refresh.

    Args:
        left_s: How long the value is fresh yet.
        scale_s: The computation's cost times beta.
        reads: How many reads draw a lot each.

    Example:
        >>> round(chance_of_refresh(left_s=10.0, scale_s=10.0, reads=1), 3)
        0.368
    """
    return 1.0 - (1.0 - exp(-left_s / scale_s)) ** reads
