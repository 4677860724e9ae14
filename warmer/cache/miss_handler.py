"""Miss handler: of all readers of a missing value, in all processes, one leads and computes, and the others follow."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from warmer.cache.async_runner import AsyncRunner
from warmer.cache.background_refresh import BackgroundRefresh
from warmer.cache.fair_semaphore import FairSemaphore
from warmer.cache.miss_leader import Miss, MissLeader, flight_name, waited_too_long
from warmer.cache.revalidation import Revalidation
from warmer.clock import Clock
from warmer.codec.entry import Origin
from warmer.fork import ForkSafe
from warmer.refresh.compute import acall
from warmer.refresh.effects import Compute, Routine, Wait, call, run
from warmer.refresh.read_counter import uncounted_reads
from warmer.refresh.refreshed import Refreshed
from warmer.refresh.refresher import Refresher, never_ok
from warmer.refresh.request import CacheRequest
from warmer.refresh.single_flight import NO_RESULT, FlightResult, SingleFlight, is_own
from warmer.settings import Settings
from warmer.store import Result
from warmer.wire import Reader

MAX_BATCHES_AT_ONCE = 4
"""Calls of an async reader's batch function that run side by side; those of a thread run one after the other."""

TIMED_OUT = FlightResult(is_abandoned=True)
"""Stands for the result of a flight that has not ended in time."""

Lead = Callable[[deque[Miss], float], Routine[float]]
"""Leads all that nobody else leads; returns until when others were waited for, on the monotonic clock."""


class MissHandler(ForkSafe):
    """Computes missing values: once, however many ask.

    Args:
        entry_key: Returns the name of a cache key's entry in Redis.
        reads: Reads what another has computed, and knows whether Redis is away.
        refresher: The refresh routine, with the time-outs of readers.
        settings: Limits.
        clock: Measures the time.
        record: Records a refresh that a reader made.
        background_refresh: Where refreshes run that no reader waits for.
    """

    def __init__(
        self,
        entry_key: Callable[[str], str],
        reads: Reader,
        refresher: Refresher,
        settings: Settings,
        clock: Clock,
        record: Callable[[Refreshed], None],
        background_refresh: BackgroundRefresh,
    ) -> None:
        """Start with nothing in flight."""
        self._refresher = refresher
        self._settings = settings
        self._clock = clock
        self._record = record
        self._flights = SingleFlight()
        self._leader = MissLeader(entry_key, reads, refresher, self._flights, clock, record, lambda: self._semaphore)
        self._runner = AsyncRunner(self._flights.forget_lost)
        self.revalidation = Revalidation(
            refresher, self._leader, self._flights, self._runner, clock, background_refresh
        )
        super().__init__()

    def _reset_after_fork(self) -> None:
        self._semaphore = FairSemaphore(self._settings.computations_without_redis)

    def close(self) -> None:
        """Let the threads end."""
        self._runner.close()

    # --- misses ----------------------------------------------------------------------------------------------------
    def compute(self, request: CacheRequest) -> Any:
        """Compute a missing value, or wait for another who does.

        Raises:
            WaitTimeoutError: another's computation took longer than this task waits for.
            CodecError: the value cannot be cached as it is.
            Exception: what the function raises.
        """
        miss = _miss_of(request)
        run(self._resolving([miss], self._leader.leading))
        return _value_of(miss)

    async def acompute(self, request: CacheRequest) -> Any:
        """As `compute`, beside an event loop.

        The computation goes on when the caller is cancelled: others may wait for it, and the value is cached.
        """
        miss = _miss_of(request)
        await self._runner.run(self._resolving([miss], self._leading_in_tasks))
        return _value_of(miss)

    def compute_many(self, requests: Sequence[CacheRequest]) -> list[Any]:
        """Compute missing values of one task by its batch function, or wait for others who do.

        Raises:
            WaitTimeoutError: another's computation took longer than the task waits for.
            CodecError: a value cannot be cached as it is.
            Exception: what the function raises; if there are several errors, the first in the order of the requests,
                once all the others are cached.
        """
        misses = [_miss_of(request, is_batched=True) for request in requests]
        run(self._resolving(misses, self._leader.leading))
        return [_value_of(miss) for miss in misses]

    async def acompute_many(self, requests: Sequence[CacheRequest]) -> list[Any]:
        """As `compute_many`, beside an event loop.

        A batch that has begun goes on when the caller is cancelled: others may wait for it, and its values are cached.
        """
        misses = [_miss_of(request, is_batched=True) for request in requests]
        await self._runner.run(self._resolving(misses, self._leading_in_tasks))
        return [_value_of(miss) for miss in misses]

    def _resolving(self, misses: Sequence[Miss], lead: Lead) -> Routine[None]:
        """Lead or follow, until there is a result for each.

        Of the readers that have waited too long, one computes without a lease; if that takes too long too, another one.
        """
        pending = []
        for miss in misses:
            if is_own(miss.request.cache_key):
                yield from self._computing_own(miss)
            else:
                pending.append(miss)
        wait_s = pending[0].options.wait_s if pending else 0.0
        while pending:
            deadline_s = yield from lead(deque(pending), wait_s)
            leftover = []
            for miss in pending:
                yield from self._following(miss, deadline_s)
                if miss.result is None:
                    leftover.append(miss)
            pending = leftover
            if misses[0].options.after_wait != "compute":  # who is ready to compute gives each flight the same time
                wait_s = max(0.0, deadline_s - self._clock.monotonic_s())

    def _computing_own(self, miss: Miss) -> Routine[None]:
        """Compute what the running computation is for, as its function asks for it itself."""
        request = miss.request
        miss.leads = True
        try:
            value = yield Compute(request.function, request.arguments, miss.options.timeout_s, leaves_thread=False)
        except Exception as error:
            miss.result = FlightResult.with_error(error)
        else:
            miss.result = FlightResult(value, is_computed=True)

    def _following(self, miss: Miss, deadline_s: float) -> Routine[None]:
        """Take the result of a miss's flight; if that brings none in time, the miss has to join another."""
        flight = miss.flight
        if flight is None:  # the routine that was to join was stopped
            return
        result = TIMED_OUT
        if flight.done():
            result = flight.result()
        else:
            patience_s = None if miss.leads else max(0.0, deadline_s - self._clock.monotonic_s())
            with suppress(TimeoutError):
                result = yield Wait(flight, patience_s, flight.loop)
        if not result.is_abandoned or (miss.leads and result.is_computed):
            miss.result = result
            return
        is_late = result is TIMED_OUT or (not miss.leads and self._clock.monotonic_s() >= deadline_s)
        miss.has_waited = miss.has_waited or is_late
        if miss.has_waited and miss.options.after_wait != "compute":
            miss.result = yield from self._after_waiting(miss)
        miss.late_flight, miss.flight, miss.leads = flight, None, False

    def _after_waiting(self, miss: Miss) -> Routine[FlightResult]:
        """Take what is cached, if the task wants that, when another's computation takes too long."""
        if miss.options.after_wait == "stale":
            (found,) = yield from self._leader.looking([miss])
            if found is not None:
                return found
        return FlightResult.with_error(waited_too_long(miss.request, miss.options))

    # --- leading -----------------------------------------------------------------------------------------------------
    def _leading_in_tasks(self, unjoined: deque[Miss], wait_s: float) -> Routine[float]:
        """Lead in tasks that go on when the reader is cancelled, some batches side by side."""
        loop = asyncio.get_running_loop()
        deadline_s = self._clock.monotonic_s() + wait_s
        all_ended: list[Future[float | None]] = []
        try:
            while len(all_ended) < MAX_BATCHES_AT_ONCE and (batch := self._leader.join(unjoined, loop)):
                all_ended.append(self._start(batch, unjoined, wait_s, loop))
            for ended in all_ended:
                until_s: float | None = yield Wait(ended, None)
                deadline_s = max(deadline_s, until_s or 0.0)
        finally:
            unjoined.clear()  # when nobody wants them any more
        return deadline_s

    def _start(
        self, batch: list[Miss], unjoined: deque[Miss], wait_s: float, loop: asyncio.AbstractEventLoop
    ) -> "Future[float | None]":
        ended = self._runner.start(self._leader.leading(unjoined, wait_s, loop, batch))
        ended.add_done_callback(lambda _: self._leader.resolve_all(batch, NO_RESULT))  # if it was stopped at once
        return ended

    # --- forced refreshes --------------------------------------------------------------------------------------------
    def refresh(self, request: CacheRequest) -> Any:
        """Compute a value here and now, whatever is cached, and publish it.

        Raises:
            WaitTimeoutError: another's computation took longer than this task waits for.
            CodecError: the value cannot be cached as it is.
            redis.RedisError: Redis did not answer.
            Exception: what the function raises.
        """
        if is_own(request.cache_key):
            return call(request.function, request.arguments, request.find_options().timeout_s)
        return _refreshed_value(run(self._refreshing(request)))

    async def arefresh(self, request: CacheRequest) -> Any:
        """As `refresh`, beside an event loop."""
        if is_own(request.cache_key):
            return await acall(request.function, request.arguments, request.find_options().timeout_s)
        return _refreshed_value(await self._runner.run(self._refreshing(request)))

    def _refreshing(self, request: CacheRequest) -> Routine[Refreshed]:
        with uncounted_reads():
            refreshed = yield from self._refresher.refreshing_in_turn(request, Origin.WARM, never_ok)
        if refreshed.result is Result.BUSY:
            raise waited_too_long(request, request.find_options())
        self._record(refreshed)
        return refreshed


def _miss_of(request: CacheRequest, *, is_batched: bool = False) -> Miss:
    options = request.find_options()
    batch_size = request.target.task.batch_size if is_batched and request.target is not None else 0
    return Miss(request._replace(find_options=lambda: options), options, flight_name(request), batch_size)


def _value_of(miss: Miss) -> Any:
    result = miss.result or TIMED_OUT
    key, codec = miss.request.cache_key, miss.options.codec
    return result.for_leader(key, codec) if miss.leads else result.for_follower(key, codec)


def _refreshed_value(refreshed: Refreshed) -> Any:
    if refreshed.exception is not None:
        raise refreshed.exception
    return refreshed.value
