"""Capacity of the present workers and limits, by the rules of the scripts but without Redis."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from warmer.store import Capacity
from warmer.store.constants import ROUNDING
from warmer.store.control.limits import ONE_AT_A_TIME
from warmer.store.token_bucket import TokenBucket
from warmer.tasks.limit import Limit


class Needs(NamedTuple):
    """Requirements of a computation.

    Args:
        kind: "t" a thread, "l" the event loop, "p" a process.
        limit: The limit it is under; "" for none.
        is_critical: Whether it may use the reserved part of the limit.
    """

    kind: str
    limit: str
    is_critical: bool


class PlannedCapacity:
    """Free capacity of all workers and limits.

    Args:
        capacity: How many computations of each kind the workers can run at once.
        limits: The declared limits, by name.
        now_s: The start; the token buckets of rates are full then.

    Example:
        >>> capacity = PlannedCapacity(Capacity(threads=2), {"pg": Limit(concurrency=1)}, now_s=0.0)
        >>> needs = Needs("t", "pg", is_critical=False)
        >>> capacity.take(needs, 0.0)
        >>> capacity.is_free(needs, 0.0), capacity.is_free(Needs("t", "", False), 0.0)
        (False, True)
    """

    def __init__(self, capacity: Capacity, limits: Mapping[str, Limit], now_s: float) -> None:
        self._free = {"t": capacity.threads, "l": capacity.loop, "p": capacity.processes}
        self._limits = {name: _LimitLeft(limit, now_s) for name, limit in limits.items()}
        self._now_s = now_s

    def is_free(self, needs: Needs, now_s: float) -> bool:
        """Return whether a computation may begin now."""
        return self._free[needs.kind] > 0 and (not needs.limit or self._left_of(needs).is_free(needs, now_s))

    def free_again_s(self, needs: Needs, now_s: float) -> float | None:
        """Return when a rate admits the next computation; None if it does not wait for a rate."""
        if self._free[needs.kind] <= 0 or not needs.limit:
            return None
        return self._left_of(needs).free_again_s(needs, now_s)

    def take(self, needs: Needs, now_s: float) -> None:
        """Begin a computation, even beyond the capacity."""
        self._free[needs.kind] -= 1
        if needs.limit:
            self._left_of(needs).take(now_s)

    def give_back(self, needs: Needs) -> None:
        """End a computation."""
        self._free[needs.kind] += 1
        if needs.limit:
            self._left_of(needs).running -= 1

    def _left_of(self, needs: Needs) -> "_LimitLeft":
        return self._limits.setdefault(needs.limit, _LimitLeft(ONE_AT_A_TIME, self._now_s))


class _LimitLeft:
    """Remaining part of a limit: concurrency and a token bucket, both with a reserve for critical tasks."""

    def __init__(self, limit: Limit, now_s: float) -> None:
        self.running = 0
        self._limit = limit
        self._bucket = None if limit.rate_per_s is None else TokenBucket.full(limit.rate_per_s, now_s)

    def is_free(self, needs: Needs, now_s: float) -> bool:
        concurrency = self._limit.concurrency
        has_slot = concurrency is None or concurrency - self.running - self._reserved(needs, concurrency) >= 1
        return has_slot and (self._bucket is None or self._bucket.has(self._tokens_for(self._bucket, needs), now_s))

    def free_again_s(self, needs: Needs, now_s: float) -> float | None:
        if self._bucket is None:
            return None
        return self._bucket.has_again_s(self._tokens_for(self._bucket, needs), now_s)

    def take(self, now_s: float) -> None:
        self.running += 1
        if self._bucket:
            self._bucket.take(now_s)

    def _tokens_for(self, bucket: TokenBucket, needs: Needs) -> int:
        return 1 + self._reserved(needs, math.floor(bucket.burst))

    def _reserved(self, needs: Needs, whole: int) -> int:
        return 0 if needs.is_critical else math.floor(whole * self._limit.reserved + ROUNDING)
