"""Per-key backoff for background refreshes, after a failure or while another refreshes the key."""

import random
from collections.abc import Callable

from warmer import policy

MAX_BACKOFF_S = 30.0
"""However often a source has failed, its recovery is noticed within this time."""

BUSY_BACKOFF_S = 0.25

MAX_KEYS = 10_000


class RefreshBackoff:
    """Keys that are not refreshed for now: readers get their stale values meanwhile, and the source is spared.

    Args:
        now_s: Reads the time, in seconds on a monotonic clock.
        random_unit: Draws a number from 0 to 1 as jitter, so that keys that failed together are not tried together.

    Example:
        >>> now_s = 0.0
        >>> backoff = RefreshBackoff(lambda: now_s, random_unit=lambda: 1.0)
        >>> backoff.failed("catalog")
        >>> backoff.is_blocked("catalog")
        True
        >>> now_s = 1.0
        >>> backoff.is_blocked("catalog")
        False
    """

    def __init__(self, now_s: Callable[[], float], random_unit: Callable[[], float] = random.random) -> None:
        """Start with none."""
        self._now_s = now_s
        self._random_unit = random_unit
        self._blocked: dict[str, tuple[int, float]] = {}

    def is_blocked(self, cache_key: str) -> bool:
        """Whether a key is not refreshed for now."""
        entry = self._blocked.get(cache_key)
        return entry is not None and self._now_s() < entry[1]

    def failed(self, cache_key: str) -> None:
        """Block a key whose refresh has failed, for longer after each failure in a row."""
        failures = self._failures(cache_key) + 1
        backoff_s = policy.retry_delay_s(failures, self._random_unit())
        self._remember(cache_key, failures, min(backoff_s, MAX_BACKOFF_S))

    def busy(self, cache_key: str) -> None:
        """Block a key for a moment that another refreshes, so that not every read asks for its lease."""
        self._remember(cache_key, self._failures(cache_key), BUSY_BACKOFF_S)

    def recovered(self, cache_key: str) -> None:
        """Forget a key's failures."""
        self._blocked.pop(cache_key, None)

    def _failures(self, cache_key: str) -> int:
        return self._blocked.get(cache_key, (0, 0.0))[0]

    def _remember(self, cache_key: str, failures: int, backoff_s: float) -> None:
        if len(self._blocked) >= MAX_KEYS:
            self._blocked.clear()
        self._blocked[cache_key] = failures, self._now_s() + backoff_s
