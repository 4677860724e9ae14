"""What happens at a miss: of all readers, in all processes, one computes; and what is stale is renewed in between."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from redis.exceptions import RedisError

from warmer.cache.background_refresh import BackgroundRefresh
from warmer.cache.batch_leader import BatchLeader, ManyRefresher
from warmer.cache.batch_miss import BatchMissHandler
from warmer.cache.fair_semaphore import FairSemaphore
from warmer.cache.miss_leader import TIMED_OUT, MissLeader, after_waiting, landing_of, waited_in_vain, work_of
from warmer.cache.refresh_backoff import RefreshBackoff
from warmer.cache.request import CacheRequest
from warmer.clock import Clock
from warmer.codec.entry import Header, Origin
from warmer.fork import ForkSafe
from warmer.refresh.cache_options import CacheOptions
from warmer.refresh.compute import acall, call
from warmer.refresh.effects import Routine, arun, run
from warmer.refresh.publisher import Refreshed
from warmer.refresh.read_counter import uncounted_reads
from warmer.refresh.refresher import Refresher, nothing_will_do
from warmer.refresh.single_flight import NO_RESULT, FlightResult, InFlight, SingleFlight, is_own
from warmer.settings import Settings
from warmer.store import Keys, Result
from warmer.tasks.functions import is_async
from warmer.wire import Reader

logger = logging.getLogger("warmer.cache")

THREADS = 8
"""For the short actions of event loops' readers, which block: scripts in Redis."""

HEED_FAILURES_MS = 400
"""Who would renew a value heeds a failure elsewhere that is no older; less than any rest after one of its own."""

Fly = Callable[[InFlight, CacheRequest, Routine[FlightResult]], None]


class MissHandler(ForkSafe):
    """Computes missing values: once, however many ask.

    Args:
        keys: Names the keys.
        reads: Reads what another has computed, and knows whether Redis is away.
        refresher: The refresh routine, with the patience of a reader.
        settings: Time-outs.
        clock: Measures the time.
        settle: Takes note of a refresh that a reader made.
        background_refresh: Where refreshes run that no reader waits for.
    """

    def __init__(
        self,
        keys: Keys,
        reads: Reader,
        refresher: Refresher,
        settings: Settings,
        clock: Clock,
        settle: Callable[[str, Origin, Refreshed], None],
        background_refresh: BackgroundRefresh,
    ) -> None:
        """Start with nothing in flight."""
        self._refresher = refresher
        self._settings = settings
        self._clock = clock
        self._settle = settle
        self._behind = background_refresh
        self._flights = SingleFlight()
        self._leader = MissLeader(keys, reads, refresher, clock, self._flights, settle, lambda: self._slots)
        together = BatchLeader(keys, reads, self._leader, ManyRefresher(refresher), self._flights, clock)
        self._many = BatchMissHandler(self._leader, together, clock, self._start, lambda: self._threads)
        super().__init__()

    def _reset_after_fork(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "warmer-cache")
        self._tasks: dict[asyncio.AbstractEventLoop, set[asyncio.Task[Any]]] = {}
        self._slots = FairSemaphore(self._settings.computations_without_redis)
        self._resting = RefreshBackoff(self._clock.monotonic_s)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False)

    # --- for those who wait for the value ----------------------------------------------------------------------
    def fill(self, wanted: CacheRequest) -> Any:
        """Compute a missing value, or wait for another who does.

        Raises:
            WaitTimeoutError: another's computation took longer than this task waits for.
            CodecError: the value cannot be cached as it is.
            Exception: what the function raises.
        """
        if is_own(wanted.cache_key):
            return call(wanted.function, wanted.arguments, wanted.terms.timeout_s)
        wanted = wanted.with_terms()
        return _given(wanted, *run(self._filling(wanted, self._fly)))

    async def afill(self, wanted: CacheRequest) -> Any:
        """As `fill`, beside an event loop.

        The computation goes on when the caller is cancelled: others may wait for it, and the value is cached.
        """
        if is_own(wanted.cache_key):
            return await acall(wanted.function, wanted.arguments, wanted.terms.timeout_s)
        wanted = wanted.with_terms()
        return _given(wanted, *await arun(self._filling(wanted, self._fly_in_task), self._threads))

    def _filling(self, wanted: CacheRequest, fly: Fly) -> Routine[tuple[FlightResult, bool]]:
        """Lead or follow, until there is an outcome; return it, and whether the caller led.

        Not everybody who has waited in vain computes: one does, and if that takes too long as well, one more.
        """
        terms, deadline_s = wanted.terms, self._clock.monotonic_s() + wanted.terms.wait_s
        in_vain: InFlight | None = None
        has_waited = False
        while True:
            flight, leads = self._flights.board(wanted.flight_name, instead_of=in_vain)
            if leads:
                lead = self._leader.unguarded if has_waited else partial(self._leader.leading, deadline_s=deadline_s)
                fly(flight, wanted, lead(wanted))
            landed = yield from landing_of(flight, None if leads else self._patience_s(terms, deadline_s))
            if not landed.is_abandoned or (leads and landed.is_computed):
                return landed, leads
            has_waited = has_waited or landed is TIMED_OUT or self._clock.monotonic_s() >= deadline_s
            if has_waited and terms.after_wait != "compute":
                return (yield from after_waiting(wanted, self._leader)), leads
            in_vain = flight

    def _patience_s(self, terms: CacheOptions, deadline_s: float) -> float:
        """Return how long to wait for a flight; who is ready to compute gives each one the same time."""
        if terms.after_wait == "compute":
            return terms.wait_s
        return max(0.0, deadline_s - self._clock.monotonic_s())

    def fill_many(self, wanted: Sequence[CacheRequest]) -> list[Any]:
        """Compute missing values of one task with a batch function, or wait for others.

        See `BatchMissHandler.fill`.

        Raises:
            Exception: the first error, once all others are cached.
        """
        return self._many.fill(wanted)

    async def afill_many(self, wanted: Sequence[CacheRequest]) -> list[Any]:
        """As `fill_many`, beside an event loop."""
        return await self._many.afill(wanted)

    # --- for those who want it computed anew ------------------------------------------------------------------
    def refresh(self, wanted: CacheRequest) -> Any:
        """Compute a value here and now, whatever is cached, and publish it.

        Raises:
            WaitTimeoutError: another's computation took longer than this task waits for.
            CodecError: the value cannot be cached as it is.
            redis.RedisError: Redis did not answer.
            Exception: what the function raises.
        """
        if is_own(wanted.cache_key):
            return call(wanted.function, wanted.arguments, wanted.terms.timeout_s)
        return _value_of(run(self._refreshing(wanted.with_terms())))

    async def arefresh(self, wanted: CacheRequest) -> Any:
        """As `refresh`, beside an event loop."""
        if is_own(wanted.cache_key):
            return await acall(wanted.function, wanted.arguments, wanted.terms.timeout_s)
        return _value_of(await arun(self._refreshing(wanted.with_terms()), self._threads))

    def _refreshing(self, wanted: CacheRequest) -> Routine[Refreshed]:
        with uncounted_reads():
            refreshed = yield from self._refresher.refreshing_in_turn(work_of(wanted, Origin.WARM), nothing_will_do)
        if refreshed.result is Result.BUSY:
            raise waited_in_vain(wanted)
        self._settle(wanted.ref, Origin.WARM, refreshed)
        return refreshed

    # --- for those who have a value already --------------------------------------------------------------------
    def renew_behind(self, wanted: CacheRequest) -> None:
        """Have a value refreshed behind the reader's back, unless that is under way or has just failed."""
        if not self._resting.is_resting(wanted.cache_key):
            arenew = (lambda: self._arenew(wanted)) if is_async(wanted.function) else None
            self._behind.offer(wanted.ref or wanted.cache_key, lambda: self._renew(wanted), arenew)

    def _renew(self, wanted: CacheRequest) -> FlightResult:
        """Refresh a value that can still be served; abandoned if somebody else is at it."""
        flight, leads = self._flights.board(wanted.flight_name)
        if leads:
            self._fly(flight, wanted, self._renewing(wanted.with_terms()))
        return flight.result() if leads else NO_RESULT

    async def _arenew(self, wanted: CacheRequest) -> FlightResult:
        """As `_renew`, beside an event loop."""
        flight, leads = self._flights.board(wanted.flight_name)
        if leads:
            await self._afly(flight, wanted, self._renewing(wanted.with_terms()))
        return flight.result() if leads else NO_RESULT

    def _renewing(self, wanted: CacheRequest) -> Routine[FlightResult]:
        """Renew a value that can still be served; abandoned unless this is the one who does."""
        key, work = wanted.cache_key, work_of(wanted, Origin.MISS)
        heed_since_ms = self._clock.now_ms() - HEED_FAILURES_MS
        try:
            refreshed = yield from self._refresher.refreshing(work, _is_not_to_be_renewed, heed_since_ms)
        except RedisError:
            self._refresher.release_later(work)
            self._resting.busy(key)
            return NO_RESULT
        if refreshed.result is Result.BUSY:
            self._resting.busy(key)
            return NO_RESULT
        if refreshed.result is Result.FAILED:
            self._resting.failed(key)
            logger.warning("%r could not be renewed, its old value is served: %s", key, refreshed.error)
        else:
            self._resting.recovered(key)
        return NO_RESULT if refreshed.result is Result.FRESH else self._leader.landed(wanted, refreshed)

    # --- flying --------------------------------------------------------------------------------------------------
    def _fly(self, flight: InFlight, wanted: CacheRequest, leading: Routine[FlightResult]) -> None:
        landed = NO_RESULT
        try:
            landed = run(leading)
        except Exception as error:
            landed = FlightResult.with_error(error)
        finally:
            self._flights.land(wanted.flight_name, flight, landed)

    def _fly_in_task(self, flight: InFlight, wanted: CacheRequest, leading: Routine[FlightResult]) -> None:
        flight.loop = asyncio.get_running_loop()
        self._start(self._afly(flight, wanted, leading))

    def _start(self, coroutine: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        loop = asyncio.get_running_loop()
        tasks = self._tasks_of(loop)
        task = loop.create_task(coroutine)
        tasks.add(task)  # the loop itself would let it be collected
        task.add_done_callback(tasks.discard)
        return task

    def _tasks_of(self, loop: asyncio.AbstractEventLoop) -> set[asyncio.Task[Any]]:
        """Return the tasks of a loop; at the first one, forget loops that were closed in the middle of theirs."""
        if loop not in self._tasks:
            for closed in [other for other in list(self._tasks) if other.is_closed()]:
                self._tasks.pop(closed, None)
            self._flights.forget_lost()
        return self._tasks.setdefault(loop, set())

    async def _afly(self, flight: InFlight, wanted: CacheRequest, leading: Routine[FlightResult]) -> None:
        landed = NO_RESULT
        try:
            landed = await arun(leading, self._threads)
        except Exception as error:
            landed = FlightResult.with_error(error)
        finally:
            self._flights.land(wanted.flight_name, flight, landed)


def _given(wanted: CacheRequest, landed: FlightResult, leads: bool) -> Any:
    key, codec = wanted.cache_key, wanted.terms.codec
    return landed.for_leader(key, codec) if leads else landed.for_follower(key, codec)


def _value_of(refreshed: Refreshed) -> Any:
    if refreshed.exception is not None:
        raise refreshed.exception
    return refreshed.value


def _is_not_to_be_renewed(present: Header, now_ms: int) -> bool:
    return present.refresh_from_ms > now_ms
