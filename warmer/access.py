"""Counts reads in this process, to be flushed in batches."""

import threading
from dataclasses import dataclass, field

from warmer import forking
from warmer.entry import Header, Origin

MOST_KEYS = 10_000
"""Distinct keys between two flushes; what comes beyond them is not counted, and that is said."""


@dataclass(slots=True)
class _Reads:
    ref: str
    hits: int = 0
    misses: int = 0
    useful: set[int] = field(default_factory=set)


class ReadCounter:
    """Counts hits and misses by cache key, in bounded memory.

    Example:
        >>> counter = ReadCounter()
        >>> counter.miss("catalog")
        >>> counter.take()
        ([('', 'catalog', 0, 1, [])], 0)
    """

    def __init__(self) -> None:
        """Start at zero."""
        self._start_afresh()
        self._fork_hook = forking.in_child(self._start_afresh)

    def _start_afresh(self) -> None:
        self._lock = threading.Lock()
        self._reads: dict[str, _Reads] = {}
        self._dropped = 0

    def hit(self, cache_key: str, header: Header, now_ms: int) -> None:
        """Count a hit.

        Args:
            cache_key: What was read.
            header: The entry's header.
            now_ms: The present moment; a hit on a warm value after its predecessor would have expired is useful.
        """
        with self._lock:
            reads = self._of(cache_key, header.ref.decode(errors="replace"))
            if reads is None:
                return
            reads.hits += 1
            if header.origin is Origin.WARM and now_ms >= header.useful_from_ms:
                reads.useful.add(header.computed_at_ms)

    def miss(self, cache_key: str) -> None:
        """Count a miss."""
        with self._lock:
            reads = self._of(cache_key, "")
            if reads is not None:
                reads.misses += 1

    def take(self) -> tuple[list[tuple[str, str, int, int, list[int]]], int]:
        """Return what was counted since the last call, and how many reads were dropped, and start at zero."""
        with self._lock:
            reads, dropped = self._reads, self._dropped
            self._reads, self._dropped = {}, 0
        batch = [
            (counted.ref, cache_key, counted.hits, counted.misses, sorted(counted.useful))
            for cache_key, counted in reads.items()
        ]
        return batch, dropped

    def _of(self, cache_key: str, ref: str) -> _Reads | None:
        reads = self._reads.get(cache_key)
        if reads is None:
            if len(self._reads) >= MOST_KEYS:
                self._dropped += 1
                return None
            reads = self._reads[cache_key] = _Reads(ref)
        reads.ref = reads.ref or ref
        return reads
