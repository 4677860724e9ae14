"""A clock that stands still until a test moves it."""

import threading
import time

from warmer.clock import Clock
from warmer.errors import SettingsError

NEW_YEAR_2026_S = 1_767_225_600.0


class ManualClock(Clock):
    """Tells a wall time that stands still until `advance` moves it.

    Durations are measured all the same: a wait that would end on its time-out still does.

    Args:
        start_s: Where it stands at first, in seconds since the epoch; the beginning of 2026 unless told otherwise.

    Example:
        >>> clock = ManualClock(start_s=1_000)
        >>> clock.advance(61)
        >>> clock.now_ms()
        1061000
    """

    def __init__(self, start_s: float = NEW_YEAR_2026_S) -> None:
        """Stand at the start."""
        super().__init__()
        self._lock = threading.Lock()
        self._now_us = round(1e6 * start_s)
        self._advanced_s = 0.0

    def advance(self, seconds: float) -> None:
        """Move the time on, for whoever goes by this clock at once.

        Args:
            seconds: By how much; it never goes back.

        Raises:
            SettingsError: that is not a number of seconds of 0 or more.

        Example:
            >>> clock = ManualClock(start_s=0)
            >>> clock.advance(0.25)
            >>> clock.now_ms()
            250
        """
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < float("inf"):
            raise SettingsError(f"a clock advances by a number of seconds of 0 or more, got {seconds!r}")
        with self._lock:
            # The microsecond on top of it ends what lasts exactly this long: on a server, a key lives through its last.
            self._now_us += round(1e6 * seconds) + 1
            self._advanced_s += seconds

    def now_ms(self) -> int:
        """Return the wall time in milliseconds since the epoch.

        Example:
            >>> ManualClock(start_s=1.5).now_ms()
            1500
        """
        return self._now_us // 1000

    def now_us(self) -> int:
        """Return the wall time in microseconds since the epoch.

        Example:
            >>> ManualClock(start_s=1.5).now_us()
            1500000
        """
        return self._now_us

    def monotonic_s(self) -> float:
        """Return seconds for measuring durations: those that have truly passed, and those advanced by.

        Example:
            >>> clock = ManualClock()
            >>> began_s = clock.monotonic_s()
            >>> clock.advance(60)
            >>> clock.monotonic_s() - began_s >= 60
            True
        """
        return time.monotonic() + self._advanced_s

    def follow(self, server_ms: int, asked_at_s: float, answered_at_s: float) -> None:
        """Keep standing: the server in memory goes by this clock, not the other way round."""
