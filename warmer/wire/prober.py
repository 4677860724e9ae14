"""Looks after servers that are away, in a thread that lives only while one is: users' reads never have to."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from warmer.errors import described
from warmer.wire.breaker import Breaker

logger = logging.getLogger("warmer.reads")


class Probed(Protocol):
    """A server, or whatever else reads cannot do without."""

    breaker: Breaker

    def probe(self) -> bool:
        """Find out whether it is back.

        Returns:
            False if it is not needed any more.

        Raises:
            redis.RedisError: it is still away.
        """
        ...


class Prober:
    """Probes what is away, at growing intervals, until all of it is back.

    Args:
        now_s: Reads the time, in seconds on a monotonic clock.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        """Start with nothing away."""
        self._now_s = now_s
        self.start_afresh()

    def start_afresh(self) -> None:
        """Forget what is away: in a forked child, where the thread is gone."""
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._away: list[Probed] = []
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def failed(self, watched: Probed, error: RedisError, took_s: float) -> None:
        """Note that something has failed a read; from then on reads do without it, until it is back.

        Args:
            watched: What has failed.
            error: How.
            took_s: How long that read had taken by then.
        """
        with self._lock:
            now_s = self._now_s()
            is_timeout = isinstance(error, RedisTimeoutError)
            if self._is_closed or not watched.breaker.failed(now_s, now_s - took_s, is_timeout):
                return
            self._away.append(watched)
            if not self._has_thread():  # without probes it would be away for ever
                self._away.remove(watched)
                watched.breaker.probe_succeeded(now_s)
                return
        self._wake.set()
        logger.warning("%s is away, and reads go on without it: %s", watched, described(error))

    def close(self) -> None:
        """End the thread; what is away stays so."""
        with self._lock:
            self._is_closed = True
        self._wake.set()

    def _has_thread(self) -> bool:
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="warmer-watch", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is about to end, or the system allows no more threads
                return False
            self._thread = thread
        return True

    def _run(self) -> None:
        while (watched := self._next()) is not None:
            self._wake.clear()
            pause_s = watched.breaker.probe_at_s - self._now_s()
            if pause_s > 0:
                self._wake.wait(pause_s)  # or until something else fails
            else:
                self._probe(watched)

    def _next(self) -> Probed | None:
        """Return what is to be probed next; None when the thread is to end."""
        with self._lock:
            if self._away and not self._is_closed:
                return min(self._away, key=lambda watched: watched.breaker.probe_at_s)
            self._thread = None
            return None

    def _probe(self, watched: Probed) -> None:
        try:
            is_needed = watched.probe()
        except Exception as error:  # whatever it is, the thread has to go on
            logger.debug("%s is still away: %s", watched, described(error))
            watched.breaker.probe_failed(self._now_s())
            return
        with self._lock:
            self._away.remove(watched)
            away_s = watched.breaker.probe_succeeded(self._now_s())
        if is_needed:
            logger.warning("%s is back after %.1f s, and reads use it again", watched, away_s)
        else:
            logger.warning("%s is left for another server after %.1f s", watched, away_s)
