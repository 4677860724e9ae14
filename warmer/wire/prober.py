"""Background prober: a thread that probes unavailable servers until they answer, so that no user's read has to.

The thread lives only while a server is unavailable.
"""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from warmer.errors import described
from warmer.spawn import OnDemandThread
from warmer.wire.breaker import Breaker

logger = logging.getLogger("warmer.reads")


class Probed(Protocol):
    """A server, or another service that reads need, with its circuit breaker."""

    breaker: Breaker

    def probe(self) -> bool:
        """Find out whether it is available again.

        Returns:
            False if it is not needed any more.

        Raises:
            redis.RedisError: it is still unavailable.
        """
        ...


class Prober:
    """Probes at growing intervals until nothing is unavailable.

    Args:
        now_s: Returns the time in seconds, on a monotonic clock.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        """Start with nothing to probe."""
        self._now_s = now_s
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Forget everything in a forked child, where the thread is gone."""
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._unavailable: list[Probed] = []
        self._thread = OnDemandThread("warmer-prober", self._run)
        self._is_closed = False

    def report_failure(self, failed: Probed, error: RedisError, took_s: float) -> None:
        """Report a failed read; if it opens the breaker, the thread probes from now on.

        Args:
            failed: The server or service.
            error: The error of the read.
            took_s: How long the read took until it failed.
        """
        with self._lock:
            now_s = self._now_s()
            is_timeout = isinstance(error, RedisTimeoutError)
            if self._is_closed or not failed.breaker.record_failure(now_s, now_s - took_s, is_timeout):
                return
            self._unavailable.append(failed)
            if not self._thread.ensure_running():  # without probes its breaker would stay open
                self._unavailable.remove(failed)
                failed.breaker.record_successful_probe(now_s)
                return
        self._wake.set()
        logger.warning("%s is unavailable, reads go on without it: %s", failed, described(error))

    def close(self) -> None:
        """End the thread; open breakers stay open."""
        with self._lock:
            self._is_closed = True
        self._wake.set()

    def _run(self) -> None:
        while (next_one := self._next()) is not None:
            self._wake.clear()
            delay_s = next_one.breaker.probe_at_s - self._now_s()
            if delay_s > 0:
                self._wake.wait(delay_s)  # or until another server fails
            else:
                self._probe(next_one)

    def _next(self) -> Probed | None:
        """Return the next to be probed; None when the thread has to end."""
        with self._lock:
            if self._unavailable and not self._is_closed:
                return min(self._unavailable, key=lambda one: one.breaker.probe_at_s)
            self._thread.has_ended()
            return None

    def _probe(self, probed: Probed) -> None:
        try:
            is_needed = probed.probe()
        except Exception as error:  # the thread must go on after any error
            logger.debug("%s is still unavailable: %s", probed, described(error))
            probed.breaker.record_failed_probe(self._now_s())
            return
        with self._lock:
            self._unavailable.remove(probed)
            outage_s = probed.breaker.record_successful_probe(self._now_s())
        if is_needed:
            logger.warning("%s is available again after %.1f s", probed, outage_s)
        else:
            logger.warning("%s was replaced by another server after %.1f s", probed, outage_s)
