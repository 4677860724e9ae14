"""Records what readers computed, in the background: readers do not wait for that."""

import logging
import time
from collections import deque
from collections.abc import Sequence

from redis.exceptions import RedisError

from warmer.engine.claims import Claims
from warmer.fork import ForkSafe
from warmer.refresh.refreshed import Refreshed
from warmer.store import Store

logger = logging.getLogger("warmer.background")

MAX_UNRECORDED = 10_000
"""The oldest are dropped beyond it, and counted."""

MAX_RUN_S = 0.5
MAX_AT_ONCE = 500


class MissRecorder(ForkSafe):
    """Completes refreshes that this process made without a claim, some at each tick.

    Args:
        store: Counts what was dropped.
        claims: Completes them.
    """

    def __init__(self, store: Store, claims: Claims) -> None:
        """Start with none."""
        self._store = store
        self._claims = claims
        super().__init__()

    def _reset_after_fork(self) -> None:
        self._unrecorded: deque[Refreshed] = deque(maxlen=MAX_UNRECORDED)
        self._dropped = 0

    def add(self, refreshed: Refreshed) -> None:
        """Remember a value that a reader computed, to be recorded at the next tick.

        Args:
            refreshed: How that ended; the value itself is not kept.
        """
        if len(self._unrecorded) == MAX_UNRECORDED:
            self._dropped += 1
        self._unrecorded.append(refreshed._replace(value=None, encoded=None, exception=None))

    def run(self) -> None:
        """Record for at most `MAX_RUN_S`: the rest waits for the next tick, after all other duties.

        Raises:
            redis.RedisError: Redis did not answer; what is not recorded stays.
        """
        deadline_s = time.monotonic() + MAX_RUN_S
        while self._unrecorded and time.monotonic() < deadline_s:
            self._record([self._unrecorded[n] for n in range(min(MAX_AT_ONCE, len(self._unrecorded)))])
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            logger.warning("%d computed values were not recorded: there are too many at once", dropped)
            self._store.stats.count("unrecorded_misses", dropped)

    def _record(self, first: Sequence[Refreshed]) -> None:
        try:
            self._claims.complete_unclaimed(first)
        except RedisError:
            raise  # they stay, for the next tick
        except Exception:
            logger.exception("%d computed values could not be recorded, and are not", len(first))
        for _ in first:
            self._unrecorded.popleft()
