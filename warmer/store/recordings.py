"""Recordings of reads in Redis: held by whoever takes them off, and gone soon after he is."""

from typing import NamedTuple

from warmer.store.scripts import Scripts

HASH_RANGE = 2**32


class RecordingSpec(NamedTuple):
    """Which reads are recorded.

    Args:
        recording_id: Random hexadecimal digits; names what is recorded.
        salt: Random hexadecimal digits; what targets are called in the recording depends on them.
        sample: The part of all targets, above 0 up to 1, whose reads are recorded.
        capacity: How many rows may wait to be taken off; reads beyond it are only counted.

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
        """As the scripts read it."""
        return f"{self.recording_id} {self.salt} {round(self.sample * HASH_RANGE)} {self.capacity}"


class Rows(NamedTuple):
    """Rows of a recording.

    Args:
        rows: Each as a line of a trace, `time_s,key,reads,cost_s`.
        last_id: Where to go on.
    """

    rows: list[bytes]
    last_id: bytes


class Recordings:
    """Recordings of reads; there is one at a time.

    Args:
        scripts: Of the control server.
    """

    def __init__(self, scripts: Scripts) -> None:
        """Prepare; nothing is sent yet."""
        self._scripts = scripts
        self._client = scripts.client
        self._keys = scripts.keys

    def hold(self, wanted: RecordingSpec, timeout_s: float) -> bool:
        """Have reads recorded for some time, or for longer; False if another recording is under way.

        Args:
            wanted: Which reads.
            timeout_s: For how long, unless it is called again.
        """
        return bool(self._scripts.run("acquire_token", self._keys.recording, wanted.text, round(1000 * timeout_s)))

    def release(self, wanted: RecordingSpec) -> None:
        """Have no more reads recorded."""
        self._scripts.run("release_token", self._keys.recording, wanted.text)

    def take(self, wanted: RecordingSpec, last_id: bytes, most: int) -> Rows:
        """Return the next rows; those before them are dropped, so that asking again gives the same ones.

        Args:
            wanted: Of which recording.
            last_id: What the last call returned; `b"0"` at first.
            most: How many rows at most.
        """
        stream = self._keys.recorded + wanted.recording_id
        pipeline = self._client.pipeline(transaction=False)
        pipeline.xtrim(stream, minid=_after(last_id), approximate=False)
        pipeline.xread({stream: last_id}, count=most)
        _, found = pipeline.execute()
        entries = found[0][1] if found else []
        return Rows([fields[b"row"] for _, fields in entries], entries[-1][0] if entries else last_id)

    def dropped(self, wanted: RecordingSpec) -> int:
        """Return how many reads found no room."""
        return int(self._client.get(self._keys.unrecorded + wanted.recording_id) or 0)

    def forget(self, wanted: RecordingSpec) -> None:
        """Drop what was not taken off."""
        self._client.delete(self._keys.recorded + wanted.recording_id, self._keys.unrecorded + wanted.recording_id)


def _after(last_id: bytes) -> str:
    """Return the least id after this one."""
    moment, _, number = last_id.decode().partition("-")
    return f"{moment}-{int(number or 0) + 1}"
