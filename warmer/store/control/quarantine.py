"""Quarantine of targets that killed the processes which computed them."""

import orjson

from warmer.store.records import Quarantined
from warmer.store.scripts import Scripts


class Quarantine:
    """Quarantined targets and tasks.

    Args:
        scripts: Of the control server.
    """

    def __init__(self, scripts: Scripts) -> None:
        """Prepare; nothing is sent yet."""
        self._scripts = scripts
        self._client = scripts.client
        self._keys = scripts.keys

    def records(self) -> list[Quarantined]:
        """Return all quarantined targets and tasks, the latest first."""
        found = self._client.hgetall(self._keys.quarantine)
        records = [Quarantined(name.decode(), **orjson.loads(text)) for name, text in found.items()]
        return sorted(records, key=lambda record: -record.since_ms)

    def release(self, name: str) -> list[str]:
        """Release a task, with all its targets, or one target; returns what had been quarantined."""
        return [released.decode() for released in self._scripts.run("release_quarantined", name)]
