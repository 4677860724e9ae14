"""Circuit breaker of one server. No I/O here.

    closed --a read fails--> open --a probe succeeds--> closed
                              ^---a probe fails---'  and the next probe comes later

While it is open, reads fail at once and cost nothing. A background thread probes, never a user's read.
"""

from dataclasses import dataclass, field
from typing import Final

from redis import exceptions

FIRST_PROBE_DELAY_S: Final = 0.1
MAX_PROBE_DELAY_S: Final = 1.0

RELAPSE_S: Final = 1.0
"""A server that fails again this soon has not recovered: the probe delay keeps growing."""


def is_outage(error: BaseException) -> bool:
    """Whether an error means that the server is unavailable, and not only that one command failed.

    Args:
        error: The exception of a command.

    Returns:
        True for lost connections, time-outs, and servers that are loading or refuse the log-in.

    Example:
        >>> from redis.exceptions import BusyLoadingError, ResponseError
        >>> is_outage(BusyLoadingError("LOADING")), is_outage(ResponseError("WRONGTYPE"))
        (True, False)
    """
    return isinstance(error, exceptions.ConnectionError | exceptions.TimeoutError | exceptions.MasterDownError)


@dataclass(slots=True)
class Breaker:
    """State of one server; every time is in seconds on one monotonic clock.

    Example:
        >>> breaker = Breaker()
        >>> breaker.record_failure(now_s=5.0, began_s=4.9), breaker.is_open, breaker.probe_at_s
        (True, True, 5.1)
        >>> breaker.record_failed_probe(now_s=5.1)
        >>> round(breaker.probe_at_s, 3)
        5.3
        >>> round(breaker.record_successful_probe(now_s=5.3), 3), breaker.is_open
        (0.3, False)
    """

    is_open: bool = False
    probe_at_s: float = 0.0
    last_reply_at_s: float = field(default=float("-inf"), init=False)
    _probe_delay_s: float = field(default=FIRST_PROBE_DELAY_S, init=False)
    _opened_at_s: float = field(default=float("-inf"), init=False)
    _closed_at_s: float = field(default=float("-inf"), init=False)

    def record_failure(self, now_s: float, began_s: float, is_timeout: bool = False) -> bool:
        """Record a failed read.

        Args:
            now_s: The time.
            began_s: When the read began. One that began before the last outage ended is ignored.
            is_timeout: Whether the read timed out. It is ignored if another read has had a reply since it began: then
                the server is slow, or this process is busy.

        Returns:
            Whether this opened the breaker.
        """
        if self.is_open or began_s < self._closed_at_s:
            return False
        if is_timeout and self.last_reply_at_s > began_s:
            return False
        if now_s - self._closed_at_s > RELAPSE_S:
            self._probe_delay_s = FIRST_PROBE_DELAY_S
        self.is_open = True
        self._opened_at_s = now_s
        self.probe_at_s = now_s + self._probe_delay_s
        return True

    def record_failed_probe(self, now_s: float) -> None:
        """Stay open and double the delay before the next probe."""
        self._probe_delay_s = min(2 * self._probe_delay_s, MAX_PROBE_DELAY_S)
        self.probe_at_s = now_s + self._probe_delay_s

    def record_successful_probe(self, now_s: float) -> float:
        """Close the breaker and return how many seconds it was open."""
        self._probe_delay_s = min(2 * self._probe_delay_s, MAX_PROBE_DELAY_S)  # in case of a relapse
        self._closed_at_s = now_s
        self.is_open = False
        return now_s - self._opened_at_s
