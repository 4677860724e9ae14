"""How many computations are under way at once."""

from collections import defaultdict
from itertools import accumulate

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
        self._changes: defaultdict[int, int] = defaultdict(int)

    def add(self, begin_s: float, cost_s: float = UNKNOWN_COST_S) -> None:
        """Count one computation.

        Args:
            begin_s: When it begins.
            cost_s: How long it takes, in seconds.
        """
        first = int(begin_s)
        self._changes[first] += 1
        self._changes[max(first + 1, int(-((-begin_s - cost_s) // 1)))] -= 1

    @property
    def peak(self) -> int:
        """The most computations in any one second."""
        return max(accumulate(self._changes[second] for second in sorted(self._changes)), default=0)
