"""Read counter: hits and misses of this process by key, to be flushed in batches."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NamedTuple

from warmer.codec.entry import Header, Origin
from warmer.fork import ForkSafe
from warmer.store import KeyReads

MAX_KEYS = 10_000
"""Distinct keys between two flushes; reads of further ones are dropped, and their number is reported."""


@dataclass(slots=True)
class _Reads:
    ref: bytes
    hits: int = 0
    misses: int = 0
    stale: int = 0
    first_ms: int = 0
    last_ms: int = 0
    useful: set[int] = field(default_factory=set)


_uncounted: ContextVar[bool] = ContextVar("uncounted", default=False)


@contextmanager
def uncounted_reads() -> Iterator[None]:
    """Do not count the reads in this block: those of warming itself are no demand.

    Example:
        >>> counter = ReadCounter()
        >>> with uncounted_reads():
        ...     counter.miss("catalog")
        >>> counter.take().reads
        []
    """
    token = _uncounted.set(True)
    try:
        yield
    finally:
        with suppress(ValueError):  # closed from elsewhere, after its event loop
            _uncounted.reset(token)


class Counted(NamedTuple):
    """Reads since the last call of `take`.

    Args:
        reads: For each key its target's ref ("" where only the key is known), the key, hits, misses, the
            `computed_at` of warm values whose read was useful, how many of the hits were stale, and when the first and
            the last read were, in ms; 0 when unknown.
        dropped: Reads that were not counted, as there were too many distinct keys.
        errors: Reads that Redis did not answer.
    """

    reads: list[KeyReads]
    dropped: int
    errors: int


class ReadCounter(ForkSafe):
    """Counts hits and misses by cache key, in bounded memory.

    Example:
        >>> counter = ReadCounter()
        >>> counter.miss("catalog")
        >>> counter.take().reads
        [('', 'catalog', 0, 1, [], 0, 0, 0)]
    """

    def _reset_after_fork(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may read in the middle of a read
        self._reads: dict[str, _Reads] = {}
        self._dropped = 0
        self._errors = 0

    def hit(self, cache_key: str, header: Header, now_ms: int) -> None:
        """Count a hit.

        Args:
            cache_key: What was read.
            header: The entry's header.
            now_ms: The present moment; a hit on a warm value after its predecessor would have expired is useful.
        """
        if _uncounted.get():
            return
        with self._lock:
            reads = self._of(cache_key, header.ref, now_ms)
            if reads is None:
                return
            reads.hits += 1
            if now_ms >= header.fresh_until_ms:
                reads.stale += 1
            if header.origin == Origin.WARM and now_ms >= header.useful_from_ms:
                reads.useful.add(header.computed_at_ms)

    def miss(self, cache_key: str, ref: str = "", now_ms: int = 0) -> None:
        """Count a miss.

        Args:
            cache_key: What was read.
            ref: Canonical text of the target, where it is known.
            now_ms: The present moment, where it is known.
        """
        if _uncounted.get():
            return
        with self._lock:
            reads = self._of(cache_key, ref.encode(), now_ms)
            if reads is not None:
                reads.misses += 1

    def error(self) -> None:
        """Count a read that Redis did not answer."""
        with self._lock:
            self._errors += 1

    def take(self) -> Counted:
        """Return what was counted since the last call, and start at zero."""
        with self._lock:
            reads, dropped, errors = self._reads, self._dropped, self._errors
            self._reads, self._dropped, self._errors = {}, 0, 0
        batch = [
            (
                counted.ref.decode(errors="replace"),
                cache_key,
                counted.hits,
                counted.misses,
                sorted(counted.useful),
                counted.stale,
                counted.first_ms,
                counted.last_ms,
            )
            for cache_key, counted in reads.items()
        ]
        return Counted(batch, dropped, errors)

    def _of(self, cache_key: str, ref: bytes, now_ms: int) -> _Reads | None:
        reads = self._reads.get(cache_key)
        if reads is None:
            if len(self._reads) >= MAX_KEYS:
                self._dropped += 1
                return None
            reads = self._reads[cache_key] = _Reads(ref, first_ms=now_ms)
        reads.ref = reads.ref or ref
        reads.last_ms = now_ms
        return reads
