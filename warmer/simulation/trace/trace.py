"""Traces: recorded reads in the order of time."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import NamedTuple


@dataclass(frozen=True)
class Trace:
    """Recorded reads of many keys, row by row in the order of time.

    Args:
        name: Its name in reports.
        times_s: The time of each row, in seconds; ascending.
        keys: The key of each row: 0, 1, 2, ... in the order of first reads.
        reads: The number of reads in each row, at least 1.
        costs_s: Seconds of one computation of the key at that time; None if unknown.

    Example:
        >>> trace = Trace("two keys", [0.0, 5.0, 60.0], [0, 1, 0], [1, 3, 2], None)
        >>> trace.span_s, trace.key_count, trace.read_count
        (60.0, 2, 6)
    """

    name: str
    times_s: list[float]
    keys: list[int]
    reads: list[int]
    costs_s: list[float] | None = None

    @property
    def start_s(self) -> float:
        """The time of the first reads."""
        return self.times_s[0]

    @property
    def end_s(self) -> float:
        """The time of the last reads."""
        return self.times_s[-1]

    @property
    def span_s(self) -> float:
        """Seconds from the first reads to the last."""
        return self.end_s - self.start_s

    @cached_property
    def key_count(self) -> int:
        """The number of keys."""
        return max(self.keys) + 1

    @cached_property
    def read_count(self) -> int:
        """The number of reads in all rows."""
        return sum(self.reads)

    def counted_from_s(self, warmup: float) -> float:
        """Return the end of the warm-up, which takes a part of the time span from 0 to below 1.

        Example:
            >>> Trace("one key", [100.0, 200.0], [0, 0], [1, 1]).counted_from_s(0.2)
            120.0
        """
        return self.start_s + warmup * self.span_s


class Row(NamedTuple):
    """Reads of one key at one moment.

    Args:
        time_s: Seconds since the epoch, or since any other moment.
        key: The key that was read.
        reads: The number of reads, at least 1.
        cost_s: Seconds of one computation of the key; None if unknown.
    """

    time_s: float
    key: str
    reads: int = 1
    cost_s: float | None = None


def trace_of(name: str, rows: Iterable[tuple[float, object, int, float | None]]) -> Trace:
    """Return the trace of rows in any order, with keys of any hashable type.

    Rows of one key at one moment become one row. An unknown cost becomes the latest cost of the key, or else the mean
    of all costs.

    Args:
        name: Its name in reports.
        rows: Time in seconds, key, number of reads, and seconds of one computation or None; at least one row.

    Example:
        >>> trace_of("pages", [(7.0, "/b", 1, None), (3.0, "/a", 1, None), (7.0, "/b", 2, None)])
        Trace(name='pages', times_s=[3.0, 7.0], keys=[0, 1], reads=[1, 3], costs_s=None)
    """
    times_s: list[float] = []
    keys: list[int] = []
    reads: list[int] = []
    costs_s: list[float | None] = []
    numbers: dict[object, int] = {}
    row_of_key: dict[int, int] = {}
    for time_s, name_of_key, count, cost_s in sorted(rows, key=itemgetter(0)):
        key = numbers.setdefault(name_of_key, len(numbers))
        row = row_of_key.get(key)
        if row is not None and times_s[row] == time_s:
            reads[row] += count
            continue
        row_of_key[key] = len(times_s)
        times_s.append(time_s)
        keys.append(key)
        reads.append(count)
        costs_s.append(cost_s)
    return Trace(name, times_s, keys, reads, _completed(costs_s, keys))


def _completed(costs_s: list[float | None], keys: list[int]) -> list[float] | None:
    """Fill in unknown costs; None if all are unknown."""
    known = [cost_s for cost_s in costs_s if cost_s is not None]
    if not known:
        return None
    mean_s = sum(known) / len(known)
    latest_s: dict[int, float] = {}
    completed = []
    for key, cost_s in zip(keys, costs_s, strict=True):
        if cost_s is not None:
            latest_s[key] = cost_s
        completed.append(latest_s.get(key, mean_s))
    return completed
