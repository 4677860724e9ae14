"""Reads of a trace grouped by key, for replays in which keys are independent."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, repeat

from warmer.simulation.trace.trace import Trace


@dataclass
class KeyReads:
    """The reads of one key, row by row.

    Args:
        times_s: The time of each row, ascending.
        reads: The number of reads in each row.
        costs_s: Seconds of one computation at that time; 0 if the trace has no costs.
    """

    times_s: list[float]
    reads: list[int]
    costs_s: list[float]

    @cached_property
    def reads_before(self) -> list[int]:
        """The number of reads before each row, and of all rows."""
        return [0, *accumulate(self.reads)]

    @cached_property
    def max_cost_s(self) -> float:
        """Seconds of the longest computation."""
        return max(self.costs_s)


@dataclass(frozen=True, slots=True)
class ReadsByKey:
    """The input of a replay.

    Args:
        keys: The reads of each key, in the order of keys.
        ttl_s: The ttl of values.
        counted_from_s: The end of the warm-up.
        end_s: The time of the last reads; nothing is refreshed after it.
        has_costs: Whether the trace has costs.
    """

    keys: Sequence[KeyReads]
    ttl_s: float
    counted_from_s: float
    end_s: float
    has_costs: bool

    @classmethod
    def of(cls, trace: Trace, ttl_s: float, warmup: float) -> "ReadsByKey":
        """Group the reads of a trace.

        Args:
            trace: The recorded reads.
            ttl_s: The ttl of values, in seconds.
            warmup: The part of the time span that does not count, from 0 to below 1.

        Example:
            >>> trace = Trace("two keys", [0.0, 1.0, 2.0], [0, 1, 0], [1, 1, 4])
            >>> by_key = ReadsByKey.of(trace, ttl_s=60, warmup=0.5)
            >>> by_key.keys[0].times_s, by_key.keys[0].reads, by_key.counted_from_s
            ([0.0, 2.0], [1, 4], 1.0)
        """
        return cls(_grouped(trace), ttl_s, trace.counted_from_s(warmup), trace.end_s, trace.costs_s is not None)


def _grouped(trace: Trace) -> list[KeyReads]:
    keys = [KeyReads([], [], []) for _ in range(trace.key_count)]
    costs_s = repeat(0.0, len(trace.keys)) if trace.costs_s is None else trace.costs_s
    for at_s, key, reads, cost_s in zip(trace.times_s, trace.keys, trace.reads, costs_s, strict=True):
        of_key = keys[key]
        of_key.times_s.append(at_s)
        of_key.reads.append(reads)
        of_key.costs_s.append(cost_s)
    return keys
