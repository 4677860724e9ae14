"""Measurements of users, with warming and without: latencies, and how often a user had to compute."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Way = Literal["with", "without"]
WAYS: tuple[Way, Way] = ("with", "without")

BUCKET_RATIO = 1.02
MIN_MS = 0.001


@dataclass(frozen=True, slots=True)
class Read:
    """One read.

    Args:
        way: With warming, or without.
        ms: How long the user waited.
        computed: Whether the user computed the value.
    """

    way: Way
    ms: float
    computed: bool


@dataclass(slots=True)
class Latencies:
    """Histogram of latencies, in buckets that are 2 % wide.

    Example:
        >>> latencies = Latencies()
        >>> for ms in (1.0, 1.0, 1.0, 300.0):
        ...     latencies.add(ms)
        >>> round(latencies.percentile_ms(50)), latencies.slowest_ms, latencies.waited_s
        (1, 300.0, 0.303)
    """

    reads: int = 0
    slowest_ms: float = 0.0
    waited_s: float = 0.0
    _buckets: Counter[int] = field(default_factory=Counter)

    def add(self, ms: float) -> None:
        """Record one read."""
        self.reads += 1
        self.slowest_ms = max(self.slowest_ms, ms)
        self.waited_s += ms / 1000
        self._buckets[_bucket(ms)] += 1

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile by nearest rank; 0 without reads.

        It is the upper bound of a bucket: at most 2 % too high, and never too low.
        """
        rank, counted = math.ceil(percent / 100 * self.reads), 0
        for bucket in sorted(self._buckets):
            counted += self._buckets[bucket]
            if counted >= rank:
                return min(_upper_bound_ms(bucket), self.slowest_ms)
        return 0.0


@dataclass(slots=True)
class Experience:
    """The experience of all users of one way.

    Args:
        latencies: How long they waited.
        computations: How often a user computed a value.
    """

    latencies: Latencies = field(default_factory=Latencies)
    computations: int = 0

    def add(self, read: Read) -> None:
        """Record one read."""
        self.latencies.add(read.ms)
        self.computations += read.computed


def _bucket(ms: float) -> int:
    return math.ceil(math.log(max(ms, MIN_MS) / MIN_MS, BUCKET_RATIO))


def _upper_bound_ms(bucket: int) -> float:
    return MIN_MS * BUCKET_RATIO**bucket
