"""Publishes and completes what was computed: whatever has come together in the meantime, at once."""

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

MOST_AT_ONCE = 500
RETRY_S = 0.5

GATHER_S = 0.004
"""Where results come thick and fast, more of them are waited for: many together cost little more than one."""


class Completer:
    """One thread that ends refreshes; while Redis is away it keeps them, and tries again.

    Args:
        claims: What ends them.
        ended: Told of what has ended.
    """

    def __init__(self, claims: Claims, ended: Callable[[Sequence[tuple[LeasedWork, Computed]]], None]) -> None:
        """Start without a thread."""
        self._claims = claims
        self._ended = ended
        self._done: deque[tuple[LeasedWork, Computed]] = deque()
        self._present: list[tuple[LeasedWork, Computed]] = []
        self._more = threading.Event()
        self._is_dismissed = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._outage = Outage(logger, "results wait for Redis, which is away or refuses (%s)")
        self._was_more_than_one = False

    def add(self, computation: Computation, computed: Sequence[Computed]) -> None:
        """End the refreshes of a computation soon."""
        self._done.extend(zip(computation.works, computed, strict=True))
        if not self._more.is_set():
            self._more.set()
        if self._thread is None:
            self._start()

    @property
    def is_busy(self) -> bool:
        """Whether anything is left to be ended."""
        return bool(self._done or self._present)

    def works(self) -> list[LeasedWork]:
        """Return whose claims are still held here."""
        return [work for work, _ in [*list(self._done), *self._present]]

    def dismiss(self) -> None:
        """End what is left, if Redis answers, and let the thread go."""
        self._is_dismissed = True
        self._more.set()
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="warmer-finishing", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._more.wait()
            if self._was_more_than_one and not self._is_dismissed:
                time.sleep(GATHER_S)
            self._more.clear()
            while self._take():
                self._finish()
            if self._is_dismissed and not self._done:
                return

    def _take(self) -> bool:
        while self._done and len(self._present) < MOST_AT_ONCE:
            self._present.append(self._done.popleft())
        return bool(self._present)

    def _finish(self) -> None:
        try:
            works, computed = zip(*self._present, strict=True)
            self._claims.publish(works, computed)
        except RedisError as error:
            self._outage.begin(error)
            if not self._is_dismissed:
                time.sleep(RETRY_S)
                return
            logger.warning("%d targets are left to lapse, Redis is away", len(self._present))
        except Exception:
            logger.exception("%d results cannot be published; their claims lapse", len(self._present))
        else:
            self._outage.end()
        done, self._present = self._present, []
        self._was_more_than_one = len(done) > 1
        self._ended(done)
