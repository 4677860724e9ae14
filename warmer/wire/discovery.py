"""Server discovery in a background thread, because Sentinels and Clusters may answer slowly.

All reads that need the answer at the same time share one query.
"""

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

MIN_INTERVAL_S: Final = 1.0


class Discovery:
    """Finds the servers that hold the keys.

    Args:
        topology: Queries the servers and keeps the answer.
        is_known: Whether the servers are known without a query.
        on_change: Called after each answer.
    """

    def __init__(self, topology: Topology, is_known: bool, on_change: Callable[[], None]) -> None:
        """Start without a query."""
        self._topology = topology
        self._on_change = on_change
        self._queried_at_s = float("-inf")
        self.is_known = is_known
        self.reset_after_fork()

    def __str__(self) -> str:
        return "the discovery of the Redis servers"

    def reset_after_fork(self) -> None:
        """Drop the running query and the breaker's state in a forked child."""
        self.breaker = Breaker()
        self._lock = threading.Lock()
        self._running: Future[None] | None = None

    def check_available(self) -> None:
        """Fail at once if the last query failed.

        Raises:
            redis.ConnectionError: it failed, and no probe has succeeded since.
        """
        if self.breaker.is_open:
            raise RedisConnectionError("no server is known to hold the keys; reads compute their values until one is")

    def start(self) -> "Future[None]":
        """Start a query, or join the running one.

        Returns:
            A future that is done when the servers are known, or has the RedisError of the query.
        """
        with self._lock:
            if self._running is not None:
                return self._running
            running = self._running = Future()
            self._queried_at_s = time.monotonic()
            try:
                threading.Thread(target=self._run, args=(running,), name="warmer-discovery", daemon=True).start()
            except RuntimeError as error:  # the interpreter is shutting down, or the system allows no more threads
                self._running = None
                running.set_exception(RedisConnectionError(described(error)))
            return running

    def request_refresh(self) -> None:
        """Start a query in the background, at most once per `MIN_INTERVAL_S`."""
        if time.monotonic() - self._queried_at_s > MIN_INTERVAL_S:
            self.start()

    def probe(self) -> bool:
        """Query and wait for the answer; see `Probed.probe`."""
        self.start().result()
        return True

    def still_serves(self, server: Server) -> bool:
        """Query, and return whether a server still holds keys; True if the query fails."""
        try:
            self.probe()
        except RedisError:  # the previous answer stays valid
            return True
        return server in self._topology.nodes()

    def _run(self, running: "Future[None]") -> None:
        try:
            self._topology.refresh()
            self.is_known = True
            self._on_change()
        except Exception as error:
            running.set_exception(error if isinstance(error, RedisError) else RedisConnectionError(described(error)))
        else:
            running.set_result(None)
        finally:
            self._running = None
