"""Runs of `warm_many` that a test moves on by itself."""

from collections.abc import Callable

from warmer.bulk import BulkRuns
from warmer.bulk.feeder import Feeder
from warmer.registry import Registry
from warmer.settings import Settings
from warmer.store import Store


class StillBulkRuns(BulkRuns):
    """Starts no threads: as much as may be outstanding is asked for by the call, and `advance` goes on from there.

    Args:
        store: Where targets are.
        registry: The tasks that this process knows.
        settings: How many targets may wait at once.
        hint: Asks for a drain now.
    """

    def __init__(self, store: Store, registry: Registry, settings: Settings, hint: Callable[[], None]) -> None:
        """Start with none."""
        super().__init__(store, registry, settings, hint)
        self._still: list[Feeder] = []

    def launch(self, feeder: Feeder) -> None:
        """Ask for as much as may be outstanding."""
        self._still.append(feeder)
        feeder.catch_up()

    def advance(self) -> bool:
        """Hear what was computed, and ask for what there is room for now; False when that was nothing."""
        moved = [feeder.catch_up() for feeder in self._still]
        self._still = [feeder for feeder in self._still if not feeder.ended.done()]
        return any(moved)
