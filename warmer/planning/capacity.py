"""Capacity of the present workers and limits, by the rules of the scripts but without Redis."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from warmer.store import Capacity
from warmer.tasks.limit import Limit

UNDECLARED = Limit(concurrency=1)
"""A limit that tasks use but that was not declared admits one computation at a time."""

_NEARLY = 1e-9


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
        return self._limits.setdefault(needs.limit, _LimitLeft(UNDECLARED, self._now_s))


class _LimitLeft:
    """What is left of a limit: concurrency and a token bucket, of which a part is reserved for critical tasks."""

    def __init__(self, limit: Limit, now_s: float) -> None:
        self.running = 0
        self._limit = limit
        self._rate_per_s = limit.rate_per_s or math.inf
        self._burst = max(1.0, self._rate_per_s)
        self._tokens, self._filled_s = self._burst, now_s

    def is_free(self, needs: Needs, now_s: float) -> bool:
        most = self._limit.concurrency
        has_slot = most is None or most - self.running - self._kept_back(needs, most) >= 1
        return has_slot and self._filled(now_s) + _NEARLY >= self._tokens_for(needs)

    def free_again_s(self, needs: Needs, now_s: float) -> float | None:
        missing = self._tokens_for(needs) - self._filled(now_s)
        return now_s + missing / self._rate_per_s + _NEARLY if missing > 0 else None

    def take(self, now_s: float) -> None:
        self.running += 1
        self._tokens, self._filled_s = self._filled(now_s) - 1, now_s

    def _filled(self, now_s: float) -> float:
        if math.isinf(self._rate_per_s):
            return math.inf
        return min(self._burst, self._tokens + (now_s - self._filled_s) * self._rate_per_s)

    def _tokens_for(self, needs: Needs) -> int:
        return 0 if math.isinf(self._burst) else 1 + self._kept_back(needs, math.floor(self._burst))

    def _kept_back(self, needs: Needs, whole: int) -> int:
        return 0 if needs.is_critical else math.floor(whole * self._limit.reserved + _NEARLY)
