"""Quarantine of targets that killed the processes which computed them."""

import orjson

from warmer.store.control.operations import ControlOperations
from warmer.store.records import Quarantined


class Quarantine(ControlOperations):
    """Quarantined targets and tasks."""

    def records(self) -> list[Quarantined]:
        """Return all quarantined targets and tasks, the latest first."""
        found = self._client.hgetall(self._keys.quarantine)
        records = [Quarantined(name.decode(), **orjson.loads(text)) for name, text in found.items()]
        return sorted(records, key=lambda record: -record.since_ms)

    def release(self, name: str) -> list[str]:
        """Release a task, with all its targets, or one target; returns what had been quarantined."""
        return [released.decode() for released in self._scripts.run("release_quarantined", name)]
