"""XFetch: a read shortly before the end of freshness may begin a refresh, by lot.

Source: Vattani, Chierichetti and Lowenstein, "Optimal probabilistic cache stampede prevention" (VLDB 2015). The refresh
runs in the background here: the read that begins it is served the value that is still fresh.
"""

from math import exp
from random import Random

from warmer.simulation.concurrency import UNKNOWN_COST_S
from warmer.simulation.course import Course, KeyReads
from warmer.simulation.replayed import Replayed
from warmer.simulation.tally import Tally


def replay_xfetch(course: Course, beta: float, plain: Replayed) -> Replayed:
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


def _replay_key(key: KeyReads, course: Course, beta: float, tally: Tally, random: Random) -> None:
    ttl_s, draw = course.ttl_s, random.random
    begun_s = useful_from_s = None
    fresh_until_s = key.times_s[0]
    for row, (at_s, reads, cost_s) in enumerate(zip(key.times_s, key.reads, key.costs_s, strict=True)):
        if at_s >= fresh_until_s:
            if begun_s is not None:
                tally.waste(begun_s)
            begun_s = useful_from_s = None
            tally.miss(at_s, cost_s, is_first=row == 0)
            fresh_until_s = at_s + ttl_s
            continue
        if useful_from_s is not None and at_s >= useful_from_s:
            begun_s = useful_from_s = None
        if draw() < chance_of_refresh(fresh_until_s - at_s, beta * (cost_s or UNKNOWN_COST_S), reads):
            if begun_s is not None:
                tally.waste(begun_s)
            begun_s, useful_from_s = at_s, fresh_until_s
            tally.refresh(at_s, cost_s)
            fresh_until_s = at_s + ttl_s
    if begun_s is not None:
        tally.waste(begun_s)


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
