"""Handle of one on-demand warming: waits for its outcome, or cancels it."""

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
from warmer.tasks.target import task_id_of

WATCH_S = 3600
"""Redis remembers the watcher of an outcome for this long; it keeps the outcome itself for five minutes."""

DEFAULT_WAIT_S = 60.0


class Warming:
    """A target that workers are requested to warm; the handle that `Warmer.warm` returns.

    `Warming` and `BulkWarming` have the same methods: `wait` for threads, ``await warming`` and `within` for
    coroutines, `cancel`, `outcome`, `is_done` and `is_cancelled`. Any thread may call them, any number of times. If the
    handle is dropped, the warming goes on.

    Args:
        ref: Canonical text of the target.
        watcher: The id under which its outcome is reported.
        store: Reports the outcome.
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
        self.ref = ref
        self._watcher = watcher
        self._store = store
        self._clock = clock
        self._outcome: WarmOutcome | None = None
        self._is_cancelled = self._is_withdrawn = False
        self._listening = threading.Lock()

    def __repr__(self) -> str:
        return f"<Warming of {self.ref}: {self._outcome.result if self._outcome else 'requested'}>"

    def __await__(self) -> Generator[Any, None, WarmOutcome]:
        """As `wait` with its default time-out, for coroutines."""
        return self.within(DEFAULT_WAIT_S).__await__()

    @property
    def task_id(self) -> str:
        """The id of its task."""
        return task_id_of(self.ref)

    @property
    def outcome(self) -> WarmOutcome | None:
        """The outcome; None until `wait` or `is_done` has learned it."""
        return self._outcome

    @property
    def is_done(self) -> bool:
        """Whether the warming has ended; each call asks Redis until it has, and does not wait.

        Raises:
            StoreUnavailableError: Redis did not answer.
        """
        return self._outcome is not None or self._listen(self._clock.monotonic_s()) is not None

    @property
    def is_cancelled(self) -> bool:
        """Whether the warming was cancelled; a computation that had begun before may still go on."""
        return self._is_cancelled

    def wait(self, timeout_s: float = DEFAULT_WAIT_S) -> WarmOutcome:
        """Wait until the target is warm, or has failed.

        Args:
            timeout_s: The longest time to wait, in seconds.

        Returns:
            The outcome; a failed computation is reported, not raised.

        Raises:
            WaitTimeoutError: there is no outcome yet; `wait` may be called again.
            StoreUnavailableError: Redis did not answer.
        """
        deadline_s = self._clock.monotonic_s() + timeout_s
        while True:
            outcome = self._listen(deadline_s)
            if outcome is not None:
                return outcome
            self._check_time(deadline_s, timeout_s)

    async def within(self, timeout_s: float) -> WarmOutcome:
        """As `wait`, for coroutines."""
        deadline_s = self._clock.monotonic_s() + timeout_s
        # It polls: a thread that blocks on Redis could not be stopped if the caller is cancelled.
        for pause_s in pauses():
            outcome = await asyncio.to_thread(self._listen, 0.0)
            if outcome is not None:
                return outcome
            self._check_time(deadline_s, timeout_s)
            await asyncio.sleep(min(pause_s, max(deadline_s - self._clock.monotonic_s(), 0.0)))
        raise AssertionError("pauses never end")

    def cancel(self) -> None:
        """Withdraw the target, unless a worker has begun it or another caller waits for it; then it is finished.

        Raises:
            StoreUnavailableError: Redis did not answer.
        """
        if self.is_done:
            return
        try:
            begun = self._store.requests.withdraw([self.ref], self._watcher)
        except RedisError as error:
            raise StoreUnavailableError(f"Redis did not withdraw {self.ref} ({described(error)}); try again") from error
        self._is_cancelled, self._is_withdrawn = True, not begun

    def _listen(self, deadline_s: float) -> WarmOutcome | None:
        """Return the outcome if it is reported by the deadline; Redis reports it once, so one thread waits for all."""
        if not self._listening.acquire(timeout=max(deadline_s - self._clock.monotonic_s(), 0.0)):
            return self._outcome
        try:
            if self._outcome is None:
                wait_s = 0.0 if self._is_withdrawn else deadline_s - self._clock.monotonic_s()
                reported = self._store.requests.next_outcome(self._watcher, wait_s)
                if reported is not None:
                    self._outcome = WarmOutcome.of(reported)
                elif self._is_withdrawn:
                    self._outcome = WarmOutcome.cancelled(self.ref)
            return self._outcome
        except RedisError as error:
            raise StoreUnavailableError(
                f"Redis did not report the outcome of {self.ref} ({described(error)}); wait again"
            ) from error
        finally:
            self._listening.release()

    def _check_time(self, deadline_s: float, timeout_s: float) -> None:
        if self._clock.monotonic_s() >= deadline_s:
            raise WaitTimeoutError(
                f"{self.ref} was not warmed within {timeout_s:g} s; is a worker alive that knows its task, or is the "
                "task slow? `warmer stats` shows both"
            )
