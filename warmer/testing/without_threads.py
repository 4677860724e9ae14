"""Thread-free doubles for tests: a thread that never starts, and bulk runs that a test advances."""

import threading
from collections.abc import Callable

from warmer.on_demand.bulk import BulkRuns
from warmer.on_demand.bulk.feeder import Feeder
from warmer.settings import Settings
from warmer.store import Store
from warmer.tasks.registry import Registry


def never_start(name: str, run: Callable[[], None]) -> threading.Thread:
    """Return a thread without starting it: the `Spawn` of a `MemoryWarmer`."""
    return threading.Thread(target=run, name=name, daemon=True)


class SteppedBulkRuns(BulkRuns):
    """Runs of `warm_many` that go on at each `advance`; arguments as for `BulkRuns`."""

    def __init__(self, store: Store, registry: Registry, settings: Settings, hint: Callable[[], None]) -> None:
        super().__init__(store, registry, settings, hint)
        self._feeders: list[Feeder] = []

    def launch(self, feeder: Feeder) -> None:
        """Request as many targets as may be outstanding."""
        self._feeders.append(feeder)
        feeder.catch_up()

    def advance(self) -> bool:
        """Collect outcomes, and request the next targets; returns whether anything was done."""
        moved = [feeder.catch_up() for feeder in self._feeders]
        self._feeders = [feeder for feeder in self._feeders if not feeder.ended.done()]
        return any(moved)
