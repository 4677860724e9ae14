"""One tick: what is due, and worth it, becomes ready, and workers are told. It may run twice, but never half."""

import logging

from warmer.clock import Clock
from warmer.engine.drain_queue import DrainQueue
from warmer.engine.reviews import ReviewLoop
from warmer.store import Store

logger = logging.getLogger("warmer.scheduler")

RECONCILE_EVERY_S = 10.0


class Ticker:
    """Ticks.

    Args:
        store: Where due and ready are.
        queue: Where workers are told.
        brain: Decides what is worth a refresh.
        clock: Measures the time between the rarer duties.
    """

    def __init__(self, store: Store, queue: DrainQueue, brain: ReviewLoop, clock: Clock) -> None:
        """Start with every duty due."""
        self._store = store
        self._queue = queue
        self._brain = brain
        self._clock = clock
        self._reconcile_at_s = 0.0

    def tick(self) -> None:
        """Tick once.

        Raises:
            redis.RedisError: Redis did not answer; the next tick makes up for it.
        """
        self._reconcile()
        self._brain.think()
        ready = self._move_due()
        if ready:
            self._queue.hint(min(ready, max(1, len(self._store.fleet.live_workers()))))

    def _move_due(self) -> int:
        while True:
            report = self._store.refreshes.tick()
            if report.lapsed:
                logger.warning("%d claims lapsed: their workers died or stalled; ready again", report.lapsed)
            if not report.more:
                return report.ready

    def _reconcile(self) -> None:
        if self._clock.monotonic_s() < self._reconcile_at_s:
            return
        switch = self._store.switch.get()
        repaired = self._store.refreshes.reconcile() if switch.on and switch.critical else 0
        if repaired:
            logger.warning("%d critical targets stood nowhere and are due now", repaired)
        self._reconcile_at_s = self._clock.monotonic_s() + RECONCILE_EVERY_S
