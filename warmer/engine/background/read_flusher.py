"""Flush of counted reads to Redis, in numbered batches, so that a batch that is sent twice counts once."""

import logging
from dataclasses import dataclass
from secrets import token_hex

from warmer.fork import ForkSafe
from warmer.refresh.read_counter import Counted, ReadCounter
from warmer.store import Store

logger = logging.getLogger("warmer.background")


@dataclass(frozen=True, slots=True)
class _Batch:
    number: int
    counted: Counted


class ReadFlusher(ForkSafe):
    """Sends the reads that a process has counted since the last flush.

    Args:
        store: Receives the counts.
        counter: Counts the reads.
    """

    def __init__(self, store: Store, counter: ReadCounter) -> None:
        self._store = store
        self._counter = counter
        super().__init__()

    def _reset_after_fork(self) -> None:
        self._reader = token_hex(8)
        self._number = 0
        self._unsent: _Batch | None = None

    def flush(self) -> None:
        """Send the counted reads; a batch that Redis did not confirm is sent again first.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        batch = self._unsent or self._next_batch()
        if batch is None:
            return
        self._unsent = batch
        is_new = self._store.reads.flush(self._reader, batch.number, batch.counted.reads)
        self._unsent = None
        if is_new:
            self._report_losses(batch.counted)

    def _next_batch(self) -> _Batch | None:
        counted = self._counter.take()
        if not any(counted):
            return None
        self._number += 1
        return _Batch(self._number, counted)

    def _report_losses(self, counted: Counted) -> None:
        if counted.dropped:
            logger.warning("%d reads were not counted: too many distinct keys in one interval", counted.dropped)
            self._store.stats.count("dropped_reads", counted.dropped)
        if counted.errors:
            self._store.stats.count("read_errors", counted.errors)
