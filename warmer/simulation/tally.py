"""Counters of one replay: misses, refreshes, waste and peak concurrency after the warm-up."""

from bisect import bisect_left
from collections import Counter
from itertools import accumulate
from math import ceil

from warmer.simulation.result import ReplayResult
from warmer.simulation.trace.by_key import ReadsByKey

UNKNOWN_COST_S = 1.0
"""Duration of a computation if the trace has no costs."""


class Tally:
    """Counts the computations of one replay.

    Args:
        by_key: The reads that are replayed.
        peak_from_s: Refreshes before it do not count for the peak; for a policy whose load only grows.
    """

    def __init__(self, by_key: ReadsByKey, peak_from_s: float | None = None) -> None:
        self._by_key = by_key
        self._from_s = by_key.counted_from_s
        self._peak_from_s = self._from_s if peak_from_s is None else max(peak_from_s, self._from_s)
        self._misses = self._compulsory = self._refreshes = self._wasted = 0
        self._compute_s = 0.0
        self._concurrency = Concurrency()

    def miss(self, at_s: float, cost_s: float, is_first: bool) -> None:
        """Count a computation that users waited for."""
        if at_s >= self._from_s:
            self._misses += 1
            self._compulsory += is_first
            self._compute_s += cost_s
            self._began(at_s, cost_s)

    def refresh(self, at_s: float, cost_s: float) -> None:
        """Count a refresh that may prove useful or wasted later."""
        if at_s >= self._from_s:
            self._refreshes += 1
            self._compute_s += cost_s
            if at_s >= self._peak_from_s:
                self._began(at_s, cost_s)

    def waste(self, at_s: float) -> None:
        """Count the refresh of this time as wasted."""
        self._wasted += at_s >= self._from_s

    def chain(self, first_s: float, count: int, cost_s: float, is_useful: bool) -> None:
        """Count refreshes that follow each other at intervals of one ttl.

        Args:
            first_s: When the first began.
            count: How many there were.
            cost_s: Compute seconds of each.
            is_useful: Whether a read needed the last value; those before it were wasted.
        """
        ttl_s = self._by_key.ttl_s
        counted = count - min(count, max(0, ceil((self._from_s - first_s) / ttl_s)))
        if counted == 0:
            return
        self._refreshes += counted
        self._wasted += counted - is_useful
        self._compute_s += counted * cost_s
        for number in range(max(count - counted, ceil((self._peak_from_s - first_s) / ttl_s)), count):
            self._began(first_s + number * ttl_s, cost_s)

    def result(self, baseline: ReplayResult | None = None) -> ReplayResult:
        """Return the counts, beside the baseline's result on the same reads; None if this is the baseline."""
        compute_s = self._compute_s if self._by_key.has_costs else None
        return ReplayResult(
            reads=_counted_reads(self._by_key) if baseline is None else baseline.reads,
            misses=self._misses,
            compulsory=self._compulsory,
            refreshes=self._refreshes,
            wasted=self._wasted,
            compute_s=compute_s,
            baseline_misses=self._misses if baseline is None else baseline.misses,
            baseline_compute_s=compute_s if baseline is None else baseline.compute_s,
            peak_concurrency=self._concurrency.peak,
        )

    def _began(self, at_s: float, cost_s: float) -> None:
        self._concurrency.add(at_s, cost_s if self._by_key.has_costs else UNKNOWN_COST_S)


class Concurrency:
    """Counts computations in each second that they touch.

    Example:
        >>> concurrency = Concurrency()
        >>> for begin_s in (10.0, 10.6, 12.0):
        ...     concurrency.add(begin_s, cost_s=0.5)
        >>> concurrency.peak
        2
    """

    def __init__(self) -> None:
        self._begins: list[int] = []
        self._ends: list[int] = []

    def add(self, begin_s: float, cost_s: float = UNKNOWN_COST_S) -> None:
        """Count one computation that begins at `begin_s` and takes `cost_s` seconds."""
        first = int(begin_s)
        self._begins.append(first)
        self._ends.append(max(first + 1, ceil(begin_s + cost_s)))

    @property
    def peak(self) -> int:
        """The most computations in any one second."""
        changes = Counter(self._begins)
        changes.subtract(Counter(self._ends))
        return max(accumulate(changes[second] for second in sorted(changes)), default=0)


def _counted_reads(by_key: ReadsByKey) -> int:
    return sum(
        key.reads_before[-1] - key.reads_before[bisect_left(key.times_s, by_key.counted_from_s)] for key in by_key.keys
    )
