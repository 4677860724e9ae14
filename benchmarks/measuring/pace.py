"""Rates and percentiles: the pace of a counter that is read now and then, ratios over rounds."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Look(NamedTuple):
    """One reading of a counter, at a time of the monotonic clock."""

    at_s: float
    count: int


def pace_per_s(looks: Sequence[Look]) -> float:
    """Return how much a counter gained per second, from the first progress that was seen to the end.

    The time before the first progress (a process that starts, a first claim) is left out; the time at the end, when
    workers run out of work, is not.

    Args:
        looks: In the order of time, the last one taken as soon as the work was done.

    Raises:
        ValueError: progress was seen only once, so that it took no time at all.
    """
    total = looks[-1].count
    begun = next((look for look in looks if look.count > 0), looks[-1])
    done = next(look for look in looks if look.count == total)
    if done.at_s <= begun.at_s:
        raise ValueError(f"expected progress at two moments at least, got {total} at once: measure more of them")
    return (total - begun.count) / (done.at_s - begun.at_s)


def ratio_of(samples: Mapping[str, Sequence[float]], name: str, base: str) -> float:
    """Return one contender's measurements divided by another's: the median over their common rounds."""
    return statistics.median(own / other for own, other in zip(samples[name], samples[base], strict=True))


def p99(measured: Sequence[float]) -> float:
    """Return the 99th percentile; of fewer than 100 measurements that is the largest."""
    return sorted(measured)[math.ceil(0.99 * len(measured)) - 1]
