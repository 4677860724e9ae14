"""A `Warmer` in the memory of this process, whose scheduler and worker is the test itself."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

from warmer.client.default import standing_in
from warmer.client.warmer import Warmer
from warmer.engine.claims import computed_here
from warmer.engine.reviews import ReviewLoop
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

NEVER_LAPSES_S = 10 * 365.25 * 86_400
"""However far a test moves the clock during a computation: its worker is alive, and would have renewed its lease."""


SCHEDULER = "the test"
"""Who leads: there is no scheduler besides the tests of this process."""


class MemoryRuntime(Runtime):
    """The parts behind a `MemoryWarmer`: none of them starts a thread.

    Args:
        settings: All settings, with an address in memory.
        registry: The tasks that this process knows.
        clock: What all goes by.
    """

    bulk_runs: SteppedBulkRuns

    def __init__(self, settings: Settings, registry: Registry, clock: ManualClock) -> None:
        """Prepare; nothing is sent yet."""
        self.deferred_refresh = DeferredRefresh()
        super().__init__(settings, registry, clock, never_start, self.deferred_refresh)
        self.bulk_runs = SteppedBulkRuns(self.store, registry, settings, self.queue.try_hint)
        self.review_loop = ReviewLoop(self.store, settings, SCHEDULER)


class MemoryWarmer(Warmer):
    """A `Warmer` for tests: no server, no background threads, and a time that stands still until it is told to move.

    Warming is switched on, and nothing happens behind a test's back: what the scheduler, the worker and the renewal of
    stale values would do by and by, `drain` does at once.

    Args:
        clock: What it goes by, in Redis too; a new one unless given.
        **settings: Settings by name. With the ``redis_url`` and the clock of another one, this is a second process of
            the same fleet.

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
        >>> square(7)  # stale by now, so to be renewed
        49
        >>> [outcome.success for outcome in memory.drain()], memory.drain()
        ([True], [])
        >>> memory.close()
    """

    _runtime: MemoryRuntime
    _spawn = staticmethod(never_start)

    def __init__(self, clock: ManualClock | None = None, **settings: Any) -> None:
        """Begin with an empty server, unless the address is another's."""
        given: dict[str, Any] = {
            "redis_url": f"memory://{token_hex(8)}",
            "cache_url": None,  # not even where WARMER_CACHE_URL names a real one
            "embedded": True,  # so that local functions are allowed
            "lease_timeout_s": NEVER_LAPSES_S,
            "claim_timeout_s": NEVER_LAPSES_S,
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

    # --- what a test does ------------------------------------------------------------------------------------------
    def drain(self) -> list[WarmOutcome]:
        """Do all that is to be done by now: renew what was read stale, send counts, refresh what is due.

        Each target is refreshed once at most, those of the highest priority first.

        Returns:
            What was computed; a computation that failed is told, not raised.

        Raises:
            StoreUnavailableError: the beat failed; the log says with what.
            WarmerError: this is called in a running event loop, which it would block.

        Example:
            >>> memory = MemoryWarmer()
            >>> @memory.warmed("answer", ttl=60, critical=True)
            ... def answer() -> int:
            ...     return 42
            >>> [outcome.result for outcome in memory.drain()], memory.get("answer")
            (['published'], 42)
            >>> memory.close()
        """
        if running_loop() is not None:
            raise WarmerError("drain() would block the event loop that runs here; use `await memory_warmer.adrain()`")
        return [*self._runtime.deferred_refresh.run_all(), *self._refresh_due()]

    async def adrain(self) -> list[WarmOutcome]:
        """As `drain`, beside an event loop.

        Async functions renew stale values in this loop, as they do for readers; what is due is refreshed in a thread
        with loops of its own, as workers do it.
        """
        return [*await self._runtime.deferred_refresh.arun_all(), *await asyncio.to_thread(self._refresh_due)]

    @contextmanager
    def as_default(self) -> Iterator["MemoryWarmer"]:
        """Be the default `Warmer` for a block: what the application has decorated with ``@warmed`` reads through it.

        Example:
            >>> import warmer
            >>> with MemoryWarmer().as_default() as memory:
            ...     warmer.set("greeting", "hello")
            ...     memory.get("greeting")
            'hello'
        """
        with standing_in(self, _is_tests_own):
            yield self

    def close(self) -> None:
        """Close the connections, and let go of the data.

        Example:
            >>> MemoryWarmer().close()
        """
        super().close()
        for url in self._urls:
            memory_server.forget(url)

    # --- a worker's work -------------------------------------------------------------------------------------------
    def _refresh_due(self) -> list[WarmOutcome]:
        if not self._runtime.background.tick():
            raise StoreUnavailableError("the beat failed, see the log of 'warmer.background'")
        refreshed: dict[str, WarmOutcome | None] = {}
        unknown: set[str] = set()
        while self._refresh_others(refreshed, unknown) or self._runtime.bulk_runs.advance():
            pass
        return [outcome for outcome in refreshed.values() if outcome is not None]

    def _refresh_others(self, refreshed: dict[str, WarmOutcome | None], unknown: set[str]) -> bool:
        """Refresh what is ready, but for what was refreshed already; says whether there was any."""
        self._runtime.store.fleet.lead(SCHEDULER, NEVER_LAPSES_S)
        self._runtime.review_loop.think()
        while self._runtime.store.refreshes.tick().more:
            pass
        taken = self._runtime.claims.take(EVERYTHING, unknown, waits=False, is_wanted=lambda ref: ref not in refreshed)
        has_met_others = not unknown.issuperset(taken.unknown_ids)
        unknown |= taken.unknown_ids
        ended = list(taken.ended)
        for work in taken.works:
            ended += self._runtime.claims.publish([work], [computed_here(work, self.clock.monotonic_s)])
        for one in ended:
            refreshed[one.ref] = _outcome(one)
        return bool(ended) or has_met_others


def _is_tests_own(task: WarmingTask) -> bool:
    """Say whether a task ends with the test that has declared it, unlike those of modules that it has imported."""
    return isinstance(task.compute_fn, Recorder) or "<locals>" in task.compute_path


def _outcome(refreshed: Refreshed) -> WarmOutcome | None:
    if refreshed.result not in (Result.PUBLISHED, Result.FAILED):
        return None
    told = {"result": refreshed.result.value, "duration_ms": round(refreshed.duration_ms, 3), "error": refreshed.error}
    return WarmOutcome.of({"ref": refreshed.ref, **told})
