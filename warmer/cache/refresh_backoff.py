"""Which keys are left in peace for a while, because renewing them has just failed or is another's business."""

import random
from collections.abc import Callable

from warmer import policy

LONGEST_REST_S = 30.0
"""However often a source has failed, its recovery is noticed within this time."""

BUSY_REST_S = 0.25

MOST_REMEMBERED = 10_000


class RefreshBackoff:
    """Keys that are not renewed for now; what is stale of them is served meanwhile, and their source is left in peace.

    Args:
        now_s: Reads the time, in seconds on a monotonic clock.
        random_unit: Draws a number from 0 to 1: targets that failed together do not retry together.

    Example:
        >>> now_s = 0.0
        >>> resting = RefreshBackoff(lambda: now_s, random_unit=lambda: 1.0)
        >>> resting.failed("catalog")
        >>> resting.is_resting("catalog")
        True
        >>> now_s = 1.0
        >>> resting.is_resting("catalog")
        False
    """

    def __init__(self, now_s: Callable[[], float], random_unit: Callable[[], float] = random.random) -> None:
        """Start with none."""
        self._now_s = now_s
        self._random_unit = random_unit
        self._rests: dict[str, tuple[int, float]] = {}

    def is_resting(self, cache_key: str) -> bool:
        """Say whether a key is to be left alone."""
        rest = self._rests.get(cache_key)
        return rest is not None and self._now_s() < rest[1]

    def failed(self, cache_key: str) -> None:
        """Note that renewing a key has failed: it rests, longer each time in a row."""
        failures = self._failures(cache_key) + 1
        rest_s = policy.retry_delay_s(failures, self._random_unit())
        self._remember(cache_key, failures, min(rest_s, LONGEST_REST_S))

    def busy(self, cache_key: str) -> None:
        """Note that another looks after a key: it rests for a moment, instead of being asked for at each read."""
        self._remember(cache_key, self._failures(cache_key), BUSY_REST_S)

    def recovered(self, cache_key: str) -> None:
        """Forget a key's failures."""
        self._rests.pop(cache_key, None)

    def _failures(self, cache_key: str) -> int:
        return self._rests.get(cache_key, (0, 0.0))[0]

    def _remember(self, cache_key: str, failures: int, rest_s: float) -> None:
        if len(self._rests) >= MOST_REMEMBERED:
            self._rests.clear()
        self._rests[cache_key] = failures, self._now_s() + rest_s
