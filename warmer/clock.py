"""The one seam for time: wall time on the clock of Redis, and monotonic time for durations."""

import time


class Clock:
    """Wall time that follows the Redis server's clock instead of this host's, and monotonic time.

    Redis itself decides what is fresh. This clock serves what a process needs to know by itself, such as whether a hit
    came after the previous value would have expired.

    Example:
        >>> clock = Clock()
        >>> clock.follow(server_ms=1_000, asked_at_s=0.9, answered_at_s=1.1)
        >>> clock.offset_s
        0.0
    """

    def __init__(self) -> None:
        """Start with this host's own clock, until `follow` is called."""
        self.offset_s = 0.0

    def now_ms(self) -> int:
        """Return the wall time in milliseconds since the epoch, on the server's clock."""
        return int((time.time() + self.offset_s) * 1000)

    monotonic_s = staticmethod(time.monotonic)
    """Returns seconds on a clock that never steps, for measuring durations."""

    def follow(self, server_ms: int, asked_at_s: float, answered_at_s: float) -> None:
        """Adjust the offset to the server's clock, which was read between two readings of this host's clock.

        Args:
            server_ms: The answer of Redis TIME, in milliseconds since the epoch.
            asked_at_s: This host's wall time before asking, in seconds.
            answered_at_s: This host's wall time after the answer, in seconds.
        """
        self.offset_s = server_ms / 1000 - (asked_at_s + answered_at_s) / 2
