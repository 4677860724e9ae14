"""Epoch check: detects that Redis was emptied, and restores the switch and the tasks of this process."""

import logging

from warmer.engine.drain_queue import DrainQueue
from warmer.engine.registration import Registration
from warmer.store import Store
from warmer.tasks.switch import Switch

logger = logging.getLogger("warmer.background")


class EpochWatch:
    """Compares the epoch, a text in Redis that changes when Redis is emptied, with the last known one.

    Args:
        store: Reads the epoch, and restores the switch.
        registration: Registers the tasks of this process again.
        queue: Requests a drain.
    """

    def __init__(self, store: Store, registration: Registration, queue: DrainQueue) -> None:
        self._store = store
        self._registration = registration
        self._queue = queue
        self._epoch: str | None = None
        self._switch: Switch | None = None

    def set_switch(self, switch: Switch) -> None:
        """Remember the switch that this process has just set, to restore it if Redis is emptied."""
        self._switch = switch

    def check(self) -> None:
        """Read the epoch, and restore the switch and the tasks if it has changed.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        epoch, switch = self._store.switch.epoch()
        known = self._epoch or self._registration.epoch
        if known is not None and epoch != known:
            logger.warning("Redis was emptied: the tasks of this process are registered again")
            self._restore()
            epoch, switch = self._store.switch.epoch()
        self._epoch, self._switch = epoch, switch or self._switch

    def _restore(self) -> None:
        if self._switch is not None:
            self._store.switch.restore(self._switch)
        self._registration.register_again()
        self._queue.try_hint()
