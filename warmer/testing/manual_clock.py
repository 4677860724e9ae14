"""Manual clock: wall time moves only when a test advances it, so that tests of expiry need no sleep."""

import threading
import time

from warmer.clock import Clock
from warmer.errors import SettingsError

NEW_YEAR_2026_S = 1_767_225_600.0


class ManualClock(Clock):
    """A wall time that stands still until `advance` moves it.

    The monotonic time still passes, so a wait still ends on its time-out.

    Args:
        start_s: The first wall time, in seconds since the epoch; by default the beginning of 2026.

    Example:
        >>> clock = ManualClock(start_s=1_000)
        >>> clock.advance(61)
        >>> clock.now_ms()
        1061000
    """

    def __init__(self, start_s: float = NEW_YEAR_2026_S) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._now_us = round(1e6 * start_s)
        self._advanced_s = 0.0

    def advance(self, seconds: float) -> None:
        """Move the time forward, for all users of this clock at once.

        Args:
            seconds: The time to add, 0 or more.

        Raises:
            SettingsError: that is not a number of seconds of 0 or more.
        """
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < float("inf"):
            raise SettingsError(f"a clock advances by a number of seconds of 0 or more, got {seconds!r}")
        with self._lock:
            # The extra microsecond expires a ttl of exactly this length: on a server, a key lives through its last one.
            self._now_us += round(1e6 * seconds) + 1
            self._advanced_s += seconds

    def now_ms(self) -> int:
        """Return the wall time in milliseconds since the epoch."""
        return self._now_us // 1000

    def now_us(self) -> int:
        """Return the wall time in microseconds since the epoch."""
        return self._now_us

    def monotonic_s(self) -> float:
        """Return seconds for measuring durations: the real ones plus those of `advance`."""
        return time.monotonic() + self._advanced_s

    def follow(self, server_ms: int, asked_at_s: float, answered_at_s: float) -> None:
        """Ignore the server's time: the server in memory follows this clock."""
