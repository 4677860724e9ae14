"""Counted reads: they feed the heat and the history of each target."""

from collections.abc import Sequence

import orjson

from warmer.policy import heat_reads_per_s
from warmer.settings import Settings
from warmer.store.control.operations import ControlOperations
from warmer.store.records import Hot, KeyReads
from warmer.store.scripts import Scripts


class ReadCounts(ControlOperations):
    """The reads that processes have counted.

    Args:
        scripts: Scripts of the control server.
        settings: The half-life of heat.
    """

    def __init__(self, scripts: Scripts, settings: Settings) -> None:
        """Prepare; nothing is sent yet."""
        super().__init__(scripts)
        self._settings = settings

    def flush(self, reader: str, number: int, reads: Sequence[KeyReads]) -> bool:
        """Take in a batch of counted reads; a batch that is sent twice counts once.

        Args:
            reader: Id of the sending process.
            number: Number of this batch, counting up.
            reads: See `KeyReads`.

        Returns:
            False when it was taken in before.
        """
        return bool(self._scripts.run("flush", reader, number, orjson.dumps(reads)))

    def hottest(self, count: int) -> tuple[int, list[Hot]]:
        """Return the server's time in ms, and the targets that are read most, the hottest first."""
        now_ms, found = self._scripts.run("hottest", count)
        half_life_s = self._settings.heat_half_life_s
        return now_ms, [Hot(ref.decode(), heat_reads_per_s(float(heat), half_life_s)) for ref, heat in found]
