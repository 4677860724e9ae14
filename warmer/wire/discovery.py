"""Finds out which servers hold the keys, in a thread of its own: Sentinels and Clusters may take long to answer."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from warmer.connect.address import Server
from warmer.connect.topology import Topology
from warmer.errors import described
from warmer.wire.breaker import Breaker

LEAST_INTERVAL_S: Final = 1.0


class Discovery:
    """What is known of the servers that hold the keys.

    Args:
        topology: Whom to ask.
        is_known: Whether there is nothing to find out first.
        changed: Called after each answer.
    """

    def __init__(self, topology: Topology, is_known: bool, changed: Callable[[], None]) -> None:
        """Ask nobody yet."""
        self._topology = topology
        self._changed = changed
        self._asked_at_s = float("-inf")
        self.is_known = is_known
        self.start_afresh()

    def __str__(self) -> str:
        return "whoever knows the servers of Redis"

    def start_afresh(self) -> None:
        """Hold nothing against anyone: in a forked child."""
        self.breaker = Breaker()
        self._lock = threading.Lock()
        self._running: Future[None] | None = None

    def check(self) -> None:
        """Refuse to ask those who could not tell.

        Raises:
            redis.ConnectionError: they could not, and no probe has had an answer since.
        """
        if self.breaker.is_open:
            raise RedisConnectionError("it is not known which server holds the keys; reads do without until it is")

    def begin(self) -> "Future[None]":
        """Begin to ask, unless that is on its way.

        Returns:
            What is done when the answer is there, or has the RedisError that came instead.
        """
        with self._lock:
            if self._running is not None:
                return self._running
            running = self._running = Future()
            self._asked_at_s = time.monotonic()
            try:
                threading.Thread(target=self._run, args=(running,), name="warmer-survey", daemon=True).start()
            except RuntimeError as error:  # the interpreter is about to end, or the system allows no more threads
                self._running = None
                running.set_exception(RedisConnectionError(described(error)))
            return running

    def look_again(self) -> None:
        """Ask anew, if the last time is some time ago; returns at once."""
        if time.monotonic() - self._asked_at_s > LEAST_INTERVAL_S:
            self.begin()

    def probe(self) -> bool:
        """Ask, and wait for the answer.

        Raises:
            redis.RedisError: there was none.
        """
        self.begin().result()
        return True

    def has_keys(self, server: Server) -> bool:
        """Ask anew, and say whether a server holds keys, as far as is known.

        Args:
            server: Which one.
        """
        try:
            self.probe()
        except RedisError:  # what was known stays
            return True
        return server in self._topology.nodes()

    def _run(self, running: "Future[None]") -> None:
        try:
            self._topology.refresh()
            self.is_known = True
            self._changed()
        except Exception as error:
            running.set_exception(error if isinstance(error, RedisError) else RedisConnectionError(described(error)))
        else:
            running.set_result(None)
        finally:
            self._running = None
