"""Completer: publishes computed values and completes their claims, in batches.

It is one thread, so that the computing threads do not wait for Redis.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from redis.exceptions import RedisError

from warmer.engine.claims import Claims
from warmer.outage import Outage
from warmer.refresh.refreshed import Computed
from warmer.refresh.request import LeasedWork
from warmer_workers.computation import Computation

logger = logging.getLogger("warmer.drain")

MAX_BATCH = 500
RETRY_S = 0.5

GATHER_TIME_S = 0.004
"""Time for results to gather if the last batch had several: a large batch costs little more than one result."""


class Completer:
    """One thread that completes refreshes; while Redis is away it keeps them, and tries again.

    Args:
        claims: Publishes values and completes claims.
        on_completed: Called with each completed batch.
    """

    def __init__(self, claims: Claims, on_completed: Callable[[Sequence[tuple[LeasedWork, Computed]]], None]) -> None:
        self._claims = claims
        self._on_completed = on_completed
        self._waiting: deque[tuple[LeasedWork, Computed]] = deque()
        self._batch: list[tuple[LeasedWork, Computed]] = []
        self._more = threading.Event()
        self._is_shut_down = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._outage = Outage(logger, "results wait for Redis, which is away or refuses (%s)")
        self._had_several = False

    def add(self, computation: Computation, computed: Sequence[Computed]) -> None:
        """Queue the outcomes of a computation."""
        self._waiting.extend(zip(computation.works, computed, strict=True))
        if not self._more.is_set():
            self._more.set()
        if self._thread is None:
            self._start()

    @property
    def is_busy(self) -> bool:
        """Whether any outcome waits or is being written."""
        return bool(self._waiting or self._batch)

    def works(self) -> list[LeasedWork]:
        """Return the works that are not completed yet; their claims must be renewed."""
        return [work for work, _ in [*list(self._waiting), *self._batch]]

    def shutdown(self) -> None:
        """Complete what is left, if Redis answers, and end the thread."""
        self._is_shut_down = True
        self._more.set()
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="warmer-completer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._more.wait()
            if self._had_several and not self._is_shut_down:
                time.sleep(GATHER_TIME_S)
            self._more.clear()
            while self._fill_batch():
                self._complete()
            if self._is_shut_down and not self._waiting:
                return

    def _fill_batch(self) -> bool:
        while self._waiting and len(self._batch) < MAX_BATCH:
            self._batch.append(self._waiting.popleft())
        return bool(self._batch)

    def _complete(self) -> None:
        try:
            works, computed = zip(*self._batch, strict=True)
            self._claims.publish(works, computed)
        except RedisError as error:
            self._outage.begin(error)
            if not self._is_shut_down:
                time.sleep(RETRY_S)
                return
            logger.warning("Redis is away: %d results are lost, and their claims expire", len(self._batch))
        except Exception:
            logger.exception("%d results cannot be published; their claims expire", len(self._batch))
        else:
            if self._outage.is_on:
                self._outage.end()
        completed, self._batch = self._batch, []
        self._had_several = len(completed) > 1
        self._on_completed(completed)
