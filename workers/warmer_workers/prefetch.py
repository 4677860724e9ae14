"""How far ahead a drain claims: for the threads that are free, and for those that are about to be."""

from collections.abc import Sequence

AHEAD_S = 0.03
"""What waits in a worker is work for about so long: enough to claim many at once, soon over for what is urgent."""

LONG_S = 0.1
"""Nothing waits behind computations that take longer: their threads may all be busy until the same moment.

Then what waits goes first, and something more urgent, claimed after it, begins only when they come free again.
"""

MOST_AHEAD = 500
REMEMBERED = 0.9


class Prefetch:
    """Learns how long computations take, and says how many more are wanted.

    Args:
        threads: How many run at once.

    Example:
        >>> ahead = Prefetch(threads=8)
        >>> ahead.wanted(running=5)
        3
        >>> ahead.learn([0.010] * 100)
        >>> ahead.wanted(running=8)
        24
    """

    def __init__(self, threads: int) -> None:
        """Know nothing: computations are taken for long ones."""
        self._threads = threads
        self._mean_s: float | None = None
        self._ahead = 0

    def learn(self, durations_s: Sequence[float]) -> None:
        """Take note of how long computations took.

        Args:
            durations_s: Seconds of each.
        """
        if not durations_s:
            return
        mean_s = sum(durations_s) / len(durations_s)
        weight = 1.0 if self._mean_s is None else 1.0 - REMEMBERED ** len(durations_s)
        self._mean_s = mean_s if self._mean_s is None else self._mean_s + weight * (mean_s - self._mean_s)
        if self._mean_s > LONG_S:
            self._ahead = 0
        else:
            self._ahead = round(min(MOST_AHEAD, self._threads * AHEAD_S / max(self._mean_s, 1e-6)))

    def forget(self) -> None:
        """Take computations for long ones again: no thread has come free for what waits."""
        self._mean_s, self._ahead = None, 0

    def wanted(self, running: int) -> int:
        """Return how many more to claim; none while it is not worth a claim of its own.

        Args:
            running: How many run or wait here.
        """
        missing = self._threads + self._ahead - running
        return missing if missing >= max(1, self._ahead // 2) else 0

    @property
    def low_water(self) -> int:
        """How few may wait before more should be claimed."""
        return self._ahead // 2
