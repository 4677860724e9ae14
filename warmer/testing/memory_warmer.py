"""A `Warmer` in memory for tests: the test itself is the scheduler and the worker."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

from warmer.client.default import standing_in
from warmer.client.warmer import Warmer
from warmer.engine.claims import computed_here
from warmer.engine.review_loop import ReviewLoop
from warmer.errors import StoreUnavailableError, WarmerError
from warmer.refresh.effects import running_loop
from warmer.refresh.refreshed import Refreshed
from warmer.results import WarmOutcome
from warmer.runtime import Runtime
from warmer.settings import Settings
from warmer.store import Capacity, Result
from warmer.tasks.registry import Registry
from warmer.tasks.task import WarmingTask
from warmer.testing import memory_server
from warmer.testing.deferred_refresh import DeferredRefresh
from warmer.testing.manual_clock import ManualClock
from warmer.testing.recorder import Recorder
from warmer.testing.without_threads import SteppedBulkRuns, never_start

EVERYTHING = Capacity(threads=100, loop=100, processes=100)

LEASE_S = 10 * 365.25 * 86_400
"""Leases do not expire when a test advances the clock during a computation: a living worker would renew them."""

SCHEDULER = "the test"
"""Name of the scheduler's leader: no other scheduler runs."""


class MemoryRuntime(Runtime):
    """The runtime of a `MemoryWarmer`: none of its parts starts a thread."""

    bulk_runs: SteppedBulkRuns

    def __init__(self, settings: Settings, registry: Registry, clock: ManualClock) -> None:
        self.deferred_refresh = DeferredRefresh()
        super().__init__(settings, registry, clock, never_start, self.deferred_refresh)
        self.bulk_runs = SteppedBulkRuns(self.store, registry, settings, self.queue.try_hint)
        self.review_loop = ReviewLoop(self.store, settings, SCHEDULER)


class MemoryWarmer(Warmer):
    """A `Warmer` for tests: no server, no background threads, and a manual clock.

    Warming is switched on. Nothing runs by itself: `drain` does the work of the scheduler, the workers and the
    background refreshes.

    Args:
        clock: The clock, also of Redis; by default a new one.
        **settings: Settings by name. With the ``redis_url`` and the clock of another one, this acts as a second
            process of the same fleet.

    Raises:
        SettingsError: a setting cannot be used.

    Example:
        >>> memory = MemoryWarmer()
        >>> @memory.warmed("square:{n}", ttl=60, stale_ttl=60)
        ... def square(n: int) -> int:
        ...     return n * n
        >>> square(7)
        49
        >>> memory.clock.advance(61)
        >>> square(7)  # stale, so a refresh is due
        49
        >>> [outcome.success for outcome in memory.drain()], memory.drain()
        ([True], [])
        >>> memory.close()
    """

    _runtime: MemoryRuntime
    _spawn = staticmethod(never_start)

    def __init__(self, clock: ManualClock | None = None, **settings: Any) -> None:
        given: dict[str, Any] = {
            "redis_url": f"memory://{token_hex(8)}",
            "cache_url": None,  # even if WARMER_CACHE_URL names a real one
            "embedded": True,  # so that local functions are allowed
            "lease_timeout_s": LEASE_S,
            "claim_timeout_s": LEASE_S,
            **settings,
        }
        super().__init__(Settings.load(**given))
        self.clock = clock or ManualClock()
        self._urls = [url for url in (self.settings.redis_url, self.settings.cache_url) if url is not None]
        for url in self._urls:
            memory_server.server_at(url, self.clock)
        self.start()

    def _compose(self, settings: Settings) -> MemoryRuntime:
        return MemoryRuntime(settings, self._registry, self.clock)

    # --- calls of a test -------------------------------------------------------------------------------------------
    def drain(self) -> list[WarmOutcome]:
        """Run everything that is due now: background refreshes, counts of reads, and due targets.

        Each target is refreshed at most once, the highest priority first.

        Returns:
            The outcomes of what was computed; a failed computation is reported, not raised.

        Raises:
            StoreUnavailableError: the background duties failed; the log shows the error.
            WarmerError: the caller runs in an event loop, which this would block.
        """
        if running_loop() is not None:
            raise WarmerError("drain() would block the running event loop; use `await memory_warmer.adrain()`")
        return [*self._runtime.deferred_refresh.run_all(), *self._refresh_due()]

    async def adrain(self) -> list[WarmOutcome]:
        """As `drain`, for coroutines.

        Async functions refresh stale values in this loop, as they do for readers. Due targets are refreshed in a thread
        with event loops of its own, as in a worker.
        """
        return [*await self._runtime.deferred_refresh.arun_all(), *await asyncio.to_thread(self._refresh_due)]

    @contextmanager
    def as_default(self) -> Iterator["MemoryWarmer"]:
        """Make this the default `Warmer` for a block: the application's ``@warmed`` functions read through it.

        Example:
            >>> import warmer
            >>> with MemoryWarmer().as_default() as memory:
            ...     warmer.set("greeting", "hello")
            ...     memory.get("greeting")
            'hello'
        """
        with standing_in(self, _is_local_to_test):
            yield self

    def close(self) -> None:
        """Close the connections, and drop the data."""
        super().close()
        for url in self._urls:
            memory_server.forget(url)

    # --- work of scheduler and worker ------------------------------------------------------------------------------
    def _refresh_due(self) -> list[WarmOutcome]:
        if not self._runtime.background.tick():
            raise StoreUnavailableError("the background duties failed; the log of 'warmer.background' shows the error")
        refreshed: dict[str, WarmOutcome | None] = {}
        unknown: set[str] = set()
        while self._refresh_ready(refreshed, unknown) or self._runtime.bulk_runs.advance():
            pass
        return [outcome for outcome in refreshed.values() if outcome is not None]

    def _refresh_ready(self, refreshed: dict[str, WarmOutcome | None], unknown: set[str]) -> bool:
        """Refresh the ready targets that are not in `refreshed` yet; returns whether any was claimed."""
        self._runtime.store.fleet.lead(SCHEDULER, LEASE_S)
        self._runtime.review_loop.run()
        while self._runtime.store.refreshes.tick().more:
            pass
        taken = self._runtime.claims.take(EVERYTHING, unknown, waits=False, is_wanted=lambda ref: ref not in refreshed)
        has_new_unknown = not unknown.issuperset(taken.unknown_ids)
        unknown |= taken.unknown_ids
        ended = list(taken.ended)
        for work in taken.works:
            ended += self._runtime.claims.publish([work], [computed_here(work, self.clock.monotonic_s)])
        for one in ended:
            refreshed[one.ref] = _outcome(one)
        return bool(ended) or has_new_unknown


def _is_local_to_test(task: WarmingTask) -> bool:
    """Return whether a test declared this task, so that it ends with the test; those of imported modules stay."""
    return isinstance(task.compute_fn, Recorder) or "<locals>" in task.compute_path


def _outcome(refreshed: Refreshed) -> WarmOutcome | None:
    if refreshed.result not in (Result.PUBLISHED, Result.FAILED):
        return None
    return WarmOutcome.of(
        {
            "ref": refreshed.ref,
            "result": refreshed.result.value,
            "duration_ms": round(refreshed.duration_ms, 3),
            "error": refreshed.error,
        }
    )
