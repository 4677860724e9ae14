"""The tick of the scheduler: moves due targets to the ready queues, and tells workers. It is safe to run twice."""

import logging

from warmer.clock import Clock
from warmer.engine.drain_queue import DrainQueue
from warmer.engine.review_loop import ReviewLoop
from warmer.store import Store

logger = logging.getLogger("warmer.scheduler")

RECONCILE_INTERVAL_S = 10.0


class Ticker:
    """Carries out ticks.

    Args:
        store: With the due and the ready targets.
        queue: Where drains are asked for.
        review_loop: Decides which due targets are refreshed.
        clock: Measures the time between two reconciliations.
    """

    def __init__(self, store: Store, queue: DrainQueue, review_loop: ReviewLoop, clock: Clock) -> None:
        """Start with a reconciliation due."""
        self._store = store
        self._queue = queue
        self._review_loop = review_loop
        self._clock = clock
        self._reconcile_at_s = 0.0

    def tick(self) -> None:
        """Tick once.

        Raises:
            redis.RedisError: Redis did not answer; the next tick does what is left.
        """
        self._reconcile()
        self._review_loop.run()
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
        self._reconcile_at_s = self._clock.monotonic_s() + RECONCILE_INTERVAL_S
