"""Background work without threads: a test carries it out when it wants to."""

import threading
from collections.abc import Callable

from warmer.on_demand.bulk import BulkRuns
from warmer.on_demand.bulk.feeder import Feeder
from warmer.settings import Settings
from warmer.store import Store
from warmer.tasks.registry import Registry


def never_start(name: str, run: Callable[[], None]) -> threading.Thread:
    """Return a thread that is not started: the `Spawn` of a `MemoryWarmer`.

    Example:
        >>> never_start("warmer-example", lambda: None).is_alive()
        False
    """
    return threading.Thread(target=run, name=name, daemon=True)


class SteppedBulkRuns(BulkRuns):
    """Runs of `warm_many` that go on at each `advance`; as much as may be outstanding is asked for at the start.

    Args:
        store: Where targets are.
        registry: The tasks that this process knows.
        settings: How many targets may wait at once.
        hint: Asks for a drain now.
    """

    def __init__(self, store: Store, registry: Registry, settings: Settings, hint: Callable[[], None]) -> None:
        """Start with none."""
        super().__init__(store, registry, settings, hint)
        self._feeders: list[Feeder] = []

    def launch(self, feeder: Feeder) -> None:
        """Ask for as much as may be outstanding."""
        self._feeders.append(feeder)
        feeder.catch_up()

    def advance(self) -> bool:
        """Take in what was computed, and ask for what there is room for now; False when that was nothing."""
        moved = [feeder.catch_up() for feeder in self._feeders]
        self._feeders = [feeder for feeder in self._feeders if not feeder.ended.done()]
        return any(moved)
