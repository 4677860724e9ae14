"""Read recorder: moves recorded reads from Redis to a writer until time is up."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from secrets import token_hex
from threading import Event

from redis.exceptions import RedisError

from warmer.errors import RecordingError, StoreUnavailableError, described
from warmer.outage import Outage
from warmer.results import DictLike
from warmer.store import Store
from warmer.store.control.recordings import RecordingSpec

logger = logging.getLogger("warmer.recording")

POLL_INTERVAL_S = 0.5
LEASE_S = 15.0
"""If the recorder dies, recording ends after this time."""

BATCH_ROWS = 5_000
MAX_ROWS = 100_000
"""Rows that may wait in Redis, about 70 bytes each."""


class RecordingTotals(DictLike):
    """Totals of a recording.

    Args:
        reads: Recorded reads.
        rows: Lines of the trace; the reads of one target by one process within a second are one line.
        targets: Distinct targets.
        dropped: Reads of sampled targets that were lost because too many rows waited.
        seconds: Duration.
        sample: The part of all targets whose reads were recorded.
    """

    reads: int
    rows: int
    targets: int
    dropped: int
    seconds: float
    sample: float


class ReadRecorder:
    """Records the reads of a fleet; targets are named by digests with a random salt, which is not kept.

    Args:
        store: Where reads are counted.
        sample: The part of all targets whose reads are recorded, above 0 and at most 1.
        capacity: How many rows may wait in Redis.

    Raises:
        RecordingError: the sample is out of range.
    """

    def __init__(self, store: Store, sample: float, capacity: int = MAX_ROWS) -> None:
        if not 0 < sample <= 1:
            raise RecordingError(f"expected a sample above 0 and at most 1, got {sample!r}")
        self._recordings = store.recordings
        self._spec = RecordingSpec(token_hex(8), token_hex(16), sample, capacity)
        self._last_id = b"0"
        self._keys: set[bytes] = set()
        self._reads = self._rows = self._dropped = 0
        self._began_s = time.monotonic()
        self._seconds = 0.0
        self._outage = Outage(logger, "Redis is away or refuses (%s); rows that still wait there may be lost")

    @property
    def totals(self) -> RecordingTotals:
        """The totals so far."""
        return RecordingTotals(
            reads=self._reads,
            rows=self._rows,
            targets=len(self._keys),
            dropped=self._dropped,
            seconds=self._seconds,
            sample=self._spec.sample,
        )

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Let the fleet record reads while the block runs.

        Raises:
            RecordingError: another recording is under way.
            StoreUnavailableError: Redis did not answer.
        """
        try:
            is_held = self._recordings.hold(self._spec, LEASE_S)
        except RedisError as error:
            raise StoreUnavailableError(f"Redis did not answer: {described(error)}") from error
        if not is_held:
            raise RecordingError(
                f"another recording is under way: wait until it ends; one that died ends within {LEASE_S:g} s"
            )
        self._began_s = time.monotonic()
        try:
            yield
        finally:
            self._try(self._discard)

    def run(
        self,
        seconds: float,
        stop: Event,
        write: Callable[[Sequence[bytes]], object],
        progress: Callable[[RecordingTotals], object] = lambda totals: None,
    ) -> None:
        """Move recorded reads to the writer until time is up; to be called in a block of `recording`.

        While Redis is away it waits, and then continues; reads flushed within the lease are not lost.

        Args:
            seconds: The duration.
            stop: Ends it sooner when set.
            write: Called with rows.
            progress: Called with the totals so far, twice a second.

        Raises:
            RecordingError: another recording has begun, while Redis or this process was away.
        """
        try:
            while not stop.is_set() and self._seconds < seconds:
                stop.wait(min(POLL_INTERVAL_S, seconds - self._seconds))
                self._seconds = time.monotonic() - self._began_s
                self._try(lambda: self._take_and_renew(write))
                progress(self.totals)
        finally:
            self._try(lambda: self._finish(write))
            progress(self.totals)

    def _take_and_renew(self, write: Callable[[Sequence[bytes]], object]) -> None:
        self._take_all(write)
        if not self._recordings.hold(self._spec, LEASE_S):
            raise RecordingError(
                f"another recording has begun, as this one was not renewed for {LEASE_S:g} s: it keeps what it has"
            )

    def _finish(self, write: Callable[[Sequence[bytes]], object]) -> None:
        self._recordings.release(self._spec)
        self._take_all(write)

    def _discard(self) -> None:
        self._recordings.release(self._spec)
        self._recordings.forget(self._spec)

    def _take_all(self, write: Callable[[Sequence[bytes]], object]) -> None:
        rows, self._last_id = self._recordings.take(self._spec, self._last_id, BATCH_ROWS)
        while rows:
            write(rows)
            self._count(rows)
            rows, self._last_id = self._recordings.take(self._spec, self._last_id, BATCH_ROWS)
        self._dropped = max(self._dropped, self._recordings.dropped(self._spec))

    def _count(self, rows: Sequence[bytes]) -> None:
        for row in rows:
            _, key, reads, _ = row.split(b",")
            self._reads += int(reads)
            self._keys.add(key)
        self._rows += len(rows)

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
            self._outage.end()
        except RedisError as error:
            self._outage.begin(error)
