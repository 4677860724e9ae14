"""Takes recorded reads off Redis until time is up."""

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
from warmer.store.recordings import RecordingSpec

logger = logging.getLogger("warmer.recording")

LOOK_EVERY_S = 0.5
HELD_S = 15.0
"""If the recorder dies, nothing is recorded any more after that."""

AT_ONCE = 5_000
MOST_ROWS = 100_000
"""Rows that may wait in Redis, in about 70 bytes each."""


class Recorded(DictLike):
    """What was recorded.

    Args:
        reads: Reads.
        rows: Lines of the trace; what one process reads of one target within a second is one.
        targets: Different targets that were read.
        dropped: Reads of sampled targets that found no room.
        seconds: For how long it was recorded.
        sample: The part of all targets whose reads were recorded.
    """

    reads: int
    rows: int
    targets: int
    dropped: int
    seconds: float
    sample: float


class ReadRecorder:
    """Records the reads of a fleet. What targets are called in the recording, nobody can tell once it has ended.

    Args:
        store: Where reads are counted.
        sample: The part of all targets, above 0 up to 1, whose reads are recorded.
        capacity: How many rows may wait in Redis.

    Raises:
        RecordingError: the sample cannot be used.
    """

    def __init__(self, store: Store, sample: float, capacity: int = MOST_ROWS) -> None:
        """Prepare; nothing is recorded yet."""
        if not 0 < sample <= 1:
            raise RecordingError(f"expected a sample above 0 and at most 1, got {sample!r}")
        self._recordings = store.recordings
        self._wanted = RecordingSpec(token_hex(8), token_hex(16), sample, capacity)
        self._last_id = b"0"
        self._keys: set[bytes] = set()
        self._reads = self._rows = self._dropped = 0
        self._began_s = time.monotonic()
        self._seconds = 0.0
        self._outage = Outage(logger, "Redis is away or refuses (%s); what it still holds may be lost")

    @property
    def recorded(self) -> Recorded:
        """What was recorded so far."""
        return Recorded(
            reads=self._reads,
            rows=self._rows,
            targets=len(self._keys),
            dropped=self._dropped,
            seconds=self._seconds,
            sample=self._wanted.sample,
        )

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Have reads recorded while the block runs.

        Raises:
            RecordingError: another recording is under way.
            StoreUnavailableError: Redis did not answer.
        """
        try:
            is_held = self._recordings.hold(self._wanted, HELD_S)
        except RedisError as error:
            raise StoreUnavailableError(f"Redis did not answer: {described(error)}") from error
        if not is_held:
            raise RecordingError(
                f"another recording is under way: wait until it ends; one that died ends within {HELD_S:g} s"
            )
        self._began_s = time.monotonic()
        try:
            yield
        finally:
            self._try(self._let_go)

    def run(
        self,
        seconds: float,
        stop: Event,
        write: Callable[[Sequence[bytes]], object],
        progress: Callable[[Recorded], object] = lambda recorded: None,
    ) -> None:
        """Take off what is recorded until time is up; to be called in a block of `holding`.

        While Redis is away it waits, and goes on; what was flushed in the meantime is recorded for some seconds.

        Args:
            seconds: For how long.
            stop: Ends it sooner when set.
            write: Takes rows.
            progress: Takes what was recorded so far, twice a second.

        Raises:
            RecordingError: another recording has taken the place of this one, while Redis or this process was away.
        """
        try:
            while not stop.is_set() and self._seconds < seconds:
                stop.wait(min(LOOK_EVERY_S, seconds - self._seconds))
                self._seconds = time.monotonic() - self._began_s
                self._try(lambda: self._go_on(write))
                progress(self.recorded)
        finally:
            self._try(lambda: self._finish(write))
            progress(self.recorded)

    def _go_on(self, write: Callable[[Sequence[bytes]], object]) -> None:
        self._take_all(write)
        if not self._recordings.hold(self._wanted, HELD_S):
            raise RecordingError(
                f"another recording has begun, as this one was not heard of for {HELD_S:g} s: it ends with what it has"
            )

    def _finish(self, write: Callable[[Sequence[bytes]], object]) -> None:
        self._recordings.release(self._wanted)
        self._take_all(write)

    def _let_go(self) -> None:
        self._recordings.release(self._wanted)
        self._recordings.forget(self._wanted)

    def _take_all(self, write: Callable[[Sequence[bytes]], object]) -> None:
        rows, self._last_id = self._recordings.take(self._wanted, self._last_id, AT_ONCE)
        while rows:
            write(rows)
            self._count(rows)
            rows, self._last_id = self._recordings.take(self._wanted, self._last_id, AT_ONCE)
        self._dropped = max(self._dropped, self._recordings.dropped(self._wanted))

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
