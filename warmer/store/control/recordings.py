"""Recordings of reads: a stream of rows that a recorder takes off, and that expires without one."""

from typing import NamedTuple

from warmer.store.control.operations import ControlOperations

HASH_RANGE = 2**32


class RecordingSpec(NamedTuple):
    """Spec of a recording: which reads are recorded.

    Args:
        recording_id: Random hexadecimal digits; names what is recorded.
        salt: Random hexadecimal digits; the digests of targets depend on them.
        sample: The part of all targets whose reads are recorded, above 0 and at most 1.
        capacity: How many rows may wait to be taken off; further reads are only counted.

    Example:
        >>> RecordingSpec("a1", "5a17", 0.5, 1000).text
        'a1 5a17 2147483648 1000'
    """

    recording_id: str
    salt: str
    sample: float
    capacity: int

    @property
    def text(self) -> str:
        """The text that scripts read."""
        return f"{self.recording_id} {self.salt} {round(self.sample * HASH_RANGE)} {self.capacity}"


class Rows(NamedTuple):
    """Rows of a recording.

    Args:
        rows: Each as a line of a trace, `time_s,key,reads,cost_s`.
        last_id: Where `take` continues.
    """

    rows: list[bytes]
    last_id: bytes


class Recordings(ControlOperations):
    """Recordings of reads; there is one at a time."""

    def hold(self, spec: RecordingSpec, timeout_s: float) -> bool:
        """Start or extend a recording; returns False while another one runs.

        Args:
            spec: Which reads.
            timeout_s: For how long, unless it is called again.
        """
        return bool(self._scripts.run("acquire_token", self._keys.recording, spec.text, round(1000 * timeout_s)))

    def release(self, spec: RecordingSpec) -> None:
        """Stop a recording."""
        self._scripts.run("release_token", self._keys.recording, spec.text)

    def take(self, spec: RecordingSpec, last_id: bytes, count: int) -> Rows:
        """Return the next rows, and drop the rows before them, so that a repeated call returns the same rows.

        Args:
            spec: The recording.
            last_id: `Rows.last_id` of the last call; `b"0"` at first.
            count: How many rows at most.
        """
        stream = self._keys.recorded + spec.recording_id
        pipeline = self._client.pipeline(transaction=False)
        pipeline.xtrim(stream, minid=_after(last_id), approximate=False)
        pipeline.xread({stream: last_id}, count=count)
        _, found = pipeline.execute()
        entries = found[0][1] if found else []
        return Rows([fields[b"row"] for _, fields in entries], entries[-1][0] if entries else last_id)

    def dropped(self, spec: RecordingSpec) -> int:
        """Return how many reads were dropped because the capacity was used up."""
        return int(self._client.get(self._keys.unrecorded + spec.recording_id) or 0)

    def forget(self, spec: RecordingSpec) -> None:
        """Delete the rows that were not taken off."""
        self._client.delete(self._keys.recorded + spec.recording_id, self._keys.unrecorded + spec.recording_id)


def _after(last_id: bytes) -> str:
    """Return the next possible id of a stream."""
    moment, _, number = last_id.decode().partition("-")
    return f"{moment}-{int(number or 0) + 1}"
