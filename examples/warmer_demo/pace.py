"""What happens again and again in a loop, but not in every turn."""

from __future__ import annotations

import time
from collections.abc import Callable


class Every:
    """Comes round once per interval, for the first time after one.

    Args:
        interval_s: Seconds between two times.
        now_s: Tells the time.
    """

    def __init__(self, interval_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = interval_s
        self._now_s = now_s
        self._next_s = now_s() + interval_s

    def has_come(self) -> bool:
        """Say whether it is time again; an interval that was overslept is not made up for."""
        now_s = self._now_s()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + self._interval_s
        return True
