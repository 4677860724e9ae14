"""How many computations are under way at once."""

from collections import Counter
from itertools import accumulate
from math import ceil

UNKNOWN_COST_S = 1.0
"""Where a trace has no costs, a computation is taken to last this long."""


class Concurrency:
    """Computations, counted in each second that they touch.

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
        """Count one computation.

        Args:
            begin_s: When it begins.
            cost_s: How long it takes, in seconds.
        """
        first = int(begin_s)
        self._begins.append(first)
        self._ends.append(max(first + 1, ceil(begin_s + cost_s)))

    @property
    def peak(self) -> int:
        """The most computations in any one second."""
        changes = Counter(self._begins)
        changes.subtract(Counter(self._ends))
        return max(accumulate(changes[second] for second in sorted(changes)), default=0)
