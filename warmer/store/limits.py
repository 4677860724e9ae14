"""Named limits: what is declared, and how much of each is used."""

from collections.abc import Mapping, Sequence

from warmer.store.scripts import Scripts


class Limits:
    """The limits of the fleet.

    Args:
        scripts: Of the control server.
    """

    def __init__(self, scripts: Scripts) -> None:
        """Prepare; nothing is sent yet."""
        self._scripts = scripts
        self._client = scripts.client
        self._keys = scripts.keys

    def declare(self, limits: Mapping[str, bytes]) -> None:
        """Say what limits there are, each by its name as JSON; those of the latest process hold."""
        if limits:
            self._client.hset(self._keys.limits, mapping=dict(limits))

    def declared(self) -> set[str]:
        """Return the names of the limits that any process has declared."""
        return {name.decode() for name in self._client.hkeys(self._keys.limits)}

    def report_reader_usage(self, process: str, timeout_ms: int, reports: Sequence[str | int]) -> object:
        """Take in what the readers of a process compute under limits; see `warmer.refresh.reader_usage`."""
        return self._scripts.run("reader_usage", process, timeout_ms, *reports)
