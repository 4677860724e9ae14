"""Record of misses: completes the refreshes of readers in the background, so that readers do not wait for it."""

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
"""Beyond it the oldest are dropped and counted."""

MAX_RUN_S = 0.5
MAX_BATCH = 500


class MissRecorder(ForkSafe):
    """Completes refreshes that this process made without a claim, some at each tick.

    Args:
        store: Counts dropped records.
        claims: Completes refreshes.
    """

    def __init__(self, store: Store, claims: Claims) -> None:
        self._store = store
        self._claims = claims
        super().__init__()

    def _reset_after_fork(self) -> None:
        self._unrecorded: deque[Refreshed] = deque(maxlen=MAX_UNRECORDED)
        self._dropped = 0

    def add(self, refreshed: Refreshed) -> None:
        """Queue the end of a reader's refresh for the next tick; the value itself is not kept."""
        if len(self._unrecorded) == MAX_UNRECORDED:
            self._dropped += 1
        self._unrecorded.append(refreshed._replace(value=None, encoded=None, exception=None))

    def run(self) -> None:
        """Record for at most `MAX_RUN_S`; the rest waits for the next tick.

        Raises:
            redis.RedisError: Redis did not answer; the rest stays queued.
        """
        deadline_s = time.monotonic() + MAX_RUN_S
        while self._unrecorded and time.monotonic() < deadline_s:
            self._record([self._unrecorded[n] for n in range(min(MAX_BATCH, len(self._unrecorded)))])
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            logger.warning("%d computed values were not recorded: too many in one interval", dropped)
            self._store.stats.count("unrecorded_misses", dropped)

    def _record(self, first: Sequence[Refreshed]) -> None:
        try:
            self._claims.complete_unclaimed(first)
        except RedisError:
            raise  # they stay, for the next tick
        except Exception:
            logger.exception("%d computed values could not be recorded", len(first))
        for _ in first:
            self._unrecorded.popleft()
