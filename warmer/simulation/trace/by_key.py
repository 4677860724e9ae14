"""A trace as replays take it that treat each key by itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, repeat

from warmer.simulation.trace.trace import Trace


@dataclass
class KeyReads:
    """The reads of one key, row by row.

    Args:
        times_s: When they came, ascending.
        reads: How many in each row.
        costs_s: What one computation took then; 0 where the trace has no costs.
    """

    times_s: list[float]
    reads: list[int]
    costs_s: list[float]

    @cached_property
    def reads_before(self) -> list[int]:
        """How many reads came before each row, and in all."""
        return [0, *accumulate(self.reads)]

    @cached_property
    def highest_cost_s(self) -> float:
        """The most that one computation took."""
        return max(self.costs_s)


@dataclass(frozen=True, slots=True)
class ReadsByKey:
    """All that a replay of independent keys needs.

    Args:
        keys: Each key's reads.
        ttl_s: How long a value is fresh.
        counted_from_s: The end of the warm-up.
        end_s: The time of the last reads; nothing is refreshed after it.
        has_costs: Whether the trace says what computations cost.
    """

    keys: Sequence[KeyReads]
    ttl_s: float
    counted_from_s: float
    end_s: float
    has_costs: bool


def reads_by_key_of(trace: Trace, ttl_s: float, warmup: float) -> ReadsByKey:
    """Return the course of a trace.

    Args:
        trace: The recorded reads.
        ttl_s: How long a value is fresh, in seconds.
        warmup: The part of the span that is not counted, from 0 to below 1.

    Example:
        >>> course = reads_by_key_of(Trace("two keys", [0.0, 1.0, 2.0], [0, 1, 0], [1, 1, 4]), ttl_s=60, warmup=0.5)
        >>> course.keys[0].times_s, course.keys[0].reads, course.counted_from_s
        ([0.0, 2.0], [1, 4], 1.0)
    """
    return ReadsByKey(reads_by_key(trace), ttl_s, trace.counted_from_s(warmup), trace.end_s, trace.costs_s is not None)


def reads_by_key(trace: Trace) -> list[KeyReads]:
    """Return the reads of each key by itself, in the order of keys."""
    keys = [KeyReads([], [], []) for _ in range(trace.key_count)]
    costs_s = repeat(0.0, len(trace.keys)) if trace.costs_s is None else trace.costs_s
    for at_s, key, reads, cost_s in zip(trace.times_s, trace.keys, trace.reads, costs_s, strict=True):
        of_key = keys[key]
        of_key.times_s.append(at_s)
        of_key.reads.append(reads)
        of_key.costs_s.append(cost_s)
    return keys
