"""Switches warming on and off for the whole fleet."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from warmer.clock import Clock
from warmer.engine.background import Background, EpochWatch
from warmer.store import Store
from warmer.tasks.switch import Switch

_is_yielding = False
_is_forbidden = False


def forbid_switching_on() -> None:
    """Let `Warmer.start` do nothing in this process from now on.

    For processes that compute for a worker: they import modules that may call it, and serve a fleet that runs.
    """
    global _is_forbidden
    _is_forbidden = True


def is_forbidden_to_switch_on() -> bool:
    """Whether `Warmer.start` does nothing in this process."""
    return _is_forbidden


@contextmanager
def yielding() -> Iterator[None]:
    """Let `Switching.switch_on` set the switch in this block only if the fleet has none yet.

    For workers, while they import the modules that register tasks: a module may switch warming on, and a worker that is
    restarted must not undo what has been switched since.
    """
    global _is_yielding
    _is_yielding = True
    try:
        yield
    finally:
        _is_yielding = False


class Switching:
    """Sets the fleet's switch, and reschedules critical targets accordingly.

    Args:
        store: With the switch.
        epoch_watch: Remembers what this process has set.
        background: Started when warming is switched on.
        clock: Tells the time.
    """

    def __init__(self, store: Store, epoch_watch: EpochWatch, background: Background, clock: Clock) -> None:
        self._store = store
        self._epoch_watch = epoch_watch
        self._background = background
        self._clock = clock

    def switch_on(self, switch: Switch) -> None:
        """Set the switch, and have critical targets refreshed at least as often as it says.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        self._store.switch.epoch()  # the clock follows the server's from here on
        if _is_yielding:
            self._store.switch.restore(switch)
            switch = self._store.switch.get()
        else:
            self._store.switch.set(switch)
        self._epoch_watch.set_switch(switch)
        self._background.start()
        if switch.critical:
            self._store.refreshes.reconcile()
            latest_ms = self._clock.now_ms() + round(1000 * switch.interval_s)
            for task_id in self._store.tasks.critical_ids():
                self._store.targets.reschedule(task_id, latest_ms, forward_only=True)
        self._store.refreshes.tick()

    def switch_off(self) -> None:
        """Set the switch to off; its other fields stay.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        switch = replace(self._store.switch.get(), on=False)
        self._store.switch.set(switch)
        self._epoch_watch.set_switch(switch)
