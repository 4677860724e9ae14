"""Interval: an action that a loop repeats, but not in every turn."""

from __future__ import annotations

import time
from collections.abc import Callable


class Interval:
    """Due once per interval, for the first time after one.

    Args:
        interval_s: Seconds between two times.
        now_s: Returns the time in seconds.
    """

    def __init__(self, interval_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = interval_s
        self._now_s = now_s
        self._next_s = now_s() + interval_s

    def is_due(self) -> bool:
        """Whether it is due; missed intervals are skipped."""
        now_s = self._now_s()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + self._interval_s
        return True
