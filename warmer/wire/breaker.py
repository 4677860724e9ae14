"""Whether reads may ask a server: not after it has failed one of them, until a probe has succeeded. No I/O here.

    closed --a read fails--> open --the probe succeeds--> closed
                               ^----the probe fails----'  and the next one waits longer

A user's read is never the probe: while a server is away, reads do without it at no cost.
"""

from dataclasses import dataclass, field
from typing import Final

from redis import exceptions

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 1.0

RELAPSE_S: Final = 1.0
"""A server that fails again this soon has not recovered: the pauses go on where they were."""


def is_outage(error: BaseException) -> bool:
    """Say whether an error means that a server is of no use to reads for now, and not only this one command's trouble.

    Args:
        error: What a command raised.

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
    """The state of one server; every time is in seconds on one monotonic clock.

    Example:
        >>> breaker = Breaker()
        >>> breaker.failed(now_s=5.0, began_s=4.9), breaker.is_open, breaker.probe_at_s
        (True, True, 5.1)
        >>> breaker.probe_failed(now_s=5.1)
        >>> round(breaker.probe_at_s, 3)
        5.3
        >>> round(breaker.probe_succeeded(now_s=5.3), 3), breaker.is_open
        (0.3, False)
    """

    is_open: bool = False
    probe_at_s: float = 0.0
    answered_at_s: float = field(default=float("-inf"), init=False)
    _pause_s: float = field(default=FIRST_PAUSE_S, init=False)
    _opened_at_s: float = field(default=float("-inf"), init=False)
    _closed_at_s: float = field(default=float("-inf"), init=False)

    def failed(self, now_s: float, began_s: float, is_timeout: bool = False) -> bool:
        """Note that a read has failed.

        Args:
            now_s: The time.
            began_s: When the read began; one that began before the last outage was over says nothing new.
            is_timeout: Whether it was for want of time: a server that has answered another read since is slow, or this
                process is busy, but the server is not away.

        Returns:
            Whether this opened the breaker.
        """
        if self.is_open or began_s < self._closed_at_s:
            return False
        if is_timeout and self.answered_at_s > began_s:
            return False
        if now_s - self._closed_at_s > RELAPSE_S:
            self._pause_s = FIRST_PAUSE_S
        self.is_open = True
        self._opened_at_s = now_s
        self.probe_at_s = now_s + self._pause_s
        return True

    def probe_failed(self, now_s: float) -> None:
        """Note that the server is still away.

        Args:
            now_s: The time.
        """
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self.probe_at_s = now_s + self._pause_s

    def probe_succeeded(self, now_s: float) -> float:
        """Let reads ask the server again.

        Args:
            now_s: The time.

        Returns:
            For how many seconds they did without it.
        """
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)  # in case of a relapse
        self._closed_at_s = now_s
        self.is_open = False
        return now_s - self._opened_at_s
