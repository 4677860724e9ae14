"""What asking for a target gives back: something to wait on."""

import asyncio
import threading
from collections.abc import Generator
from typing import Any

from redis.exceptions import RedisError

from warmer.clock import Clock
from warmer.errors import StoreUnavailableError, WaitTimeoutError, described
from warmer.refresh.effects import pauses
from warmer.results import WarmOutcome
from warmer.store import Store

WATCH_S = 3600
"""For how long it is remembered who waits; the outcome itself is kept for five minutes."""

DEFAULT_WAIT_S = 60.0


class Warming:
    """A target that workers were asked to warm.

    It may be waited for, by threads (`wait`) or beside an event loop (``await handle``, or `within`), any number of
    times, or be dropped.

    Args:
        ref: Canonical text of the target.
        watcher: Under which id its outcome will be told.
        store: Where.
        clock: Measures the time.

    Example:
        >>> from warmer import start_cache_warming, stop_cache_warming, warmed
        >>> @warmed("tenfold:{n}", ttl=60)
        ... def tenfold(n: int) -> int:
        ...     return 10 * n
        >>> start_cache_warming()
        >>> tenfold.warm(7).wait(timeout_s=30).success, tenfold.get(7)
        (True, 70)
        >>> stop_cache_warming()
    """

    def __init__(self, ref: str, watcher: str, store: Store, clock: Clock) -> None:
        """Know nothing of the outcome yet."""
        self.ref = ref
        self._watcher = watcher
        self._store = store
        self._clock = clock
        self._outcome: WarmOutcome | None = None
        self._listening = threading.Lock()

    def __repr__(self) -> str:
        return f"<Handle of {self.ref}: {self._outcome.result if self._outcome else 'asked'}>"

    def __await__(self) -> Generator[Any, None, WarmOutcome]:
        """Wait beside an event loop, as long as `wait` does by default."""
        return self.within(DEFAULT_WAIT_S).__await__()

    @property
    def outcome(self) -> WarmOutcome | None:
        """How it went, as far as is known here; None before anybody has waited for it."""
        return self._outcome

    def wait(self, timeout_s: float = DEFAULT_WAIT_S) -> WarmOutcome:
        """Wait until the target is warm, or has failed.

        Args:
            timeout_s: How long to wait at most.

        Returns:
            How it went; a computation that failed is told, not raised.

        Raises:
            WaitTimeoutError: there is no outcome yet; it may be waited for again.
            StoreUnavailableError: Redis did not answer.
        """
        deadline_s = self._clock.monotonic_s() + timeout_s
        while True:
            outcome = self._listen(deadline_s)
            if outcome is not None:
                return outcome
            self._check_time(deadline_s, timeout_s)

    async def within(self, timeout_s: float) -> WarmOutcome:
        """As `wait`, beside an event loop."""
        deadline_s = self._clock.monotonic_s() + timeout_s
        # Asking now and then holds up no thread, which a caller that gives up could not take back.
        for pause_s in pauses():
            outcome = await asyncio.to_thread(self._listen, 0.0)
            if outcome is not None:
                return outcome
            self._check_time(deadline_s, timeout_s)
            await asyncio.sleep(min(pause_s, max(deadline_s - self._clock.monotonic_s(), 0.0)))
        raise AssertionError("pauses never end")

    def _listen(self, deadline_s: float) -> WarmOutcome | None:
        """Return the outcome if it is known, or told by then; it is told only once, so one thread listens for all."""
        if not self._listening.acquire(timeout=max(deadline_s - self._clock.monotonic_s(), 0.0)):
            return self._outcome
        try:
            if self._outcome is None:
                told = self._store.requests.next_outcome(self._watcher, deadline_s - self._clock.monotonic_s())
                self._outcome = WarmOutcome.of(told) if told is not None else None
            return self._outcome
        except RedisError as error:
            raise StoreUnavailableError(f"Redis did not tell how {self.ref} went ({described(error)})") from error
        finally:
            self._listening.release()

    def _check_time(self, deadline_s: float, timeout_s: float) -> None:
        if self._clock.monotonic_s() >= deadline_s:
            raise WaitTimeoutError(
                f"{self.ref} was not warmed within {timeout_s:g} s; is a worker alive that knows its task, or is it "
                "slow? `warmer stats` shows both"
            )
