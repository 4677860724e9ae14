"""Prefetch: how many claims a drain holds beyond its free threads.

With quick computations, a claim for the free threads alone would cost more than the computations.
"""

from collections.abc import Sequence

AHEAD_S = 0.03
"""Time that the prefetched computations take: enough to claim many at once, and short for urgent targets."""

MAX_MEAN_S = 0.1
"""With longer computations nothing is prefetched, as all threads may be busy for long: an urgent target would wait."""

MAX_AHEAD = 500
WEIGHT_OF_PAST = 0.9


class Prefetch:
    """Learns the mean duration of computations, and returns how many more to claim.

    Args:
        threads: The number of threads.

    Example:
        >>> prefetch = Prefetch(threads=8)
        >>> prefetch.wanted(running=5)
        3
        >>> prefetch.learn([0.010] * 100)
        >>> prefetch.wanted(running=8)
        24
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._mean_s: float | None = None
        self._ahead = 0

    def learn(self, durations_s: Sequence[float]) -> None:
        """Add the durations of computations, in seconds."""
        if not durations_s:
            return
        mean_s = sum(durations_s) / len(durations_s)
        weight = 1.0 if self._mean_s is None else 1.0 - WEIGHT_OF_PAST ** len(durations_s)
        self._mean_s = mean_s if self._mean_s is None else self._mean_s + weight * (mean_s - self._mean_s)
        if self._mean_s > MAX_MEAN_S:
            self._ahead = 0
        else:
            self._ahead = round(min(MAX_AHEAD, self._threads * AHEAD_S / max(self._mean_s, 1e-6)))

    def forget(self) -> None:
        """Prefetch nothing until the next `learn`, because no thread became free in time."""
        self._mean_s, self._ahead = None, 0

    def wanted(self, running: int) -> int:
        """Return how many more to claim, with this many running or waiting; 0 if too few are missing for a claim."""
        missing = self._threads + self._ahead - running
        return missing if missing >= max(1, self._ahead // 2) else 0

    @property
    def low_water(self) -> int:
        """The number of waiting computations at which to claim more."""
        return self._ahead // 2
