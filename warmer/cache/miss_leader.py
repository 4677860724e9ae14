"""Leader of a single flight: computes missing values for all readers of this process, or takes them from another's."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeVar

from redis.exceptions import RedisError

from warmer.cache.fair_semaphore import FairSemaphore
from warmer.clock import Clock
from warmer.codec import ERROR, Encoded, cached_error
from warmer.codec.entry import Origin, unpack
from warmer.errors import CodecError, WaitTimeoutError
from warmer.refresh.cache_options import CacheOptions
from warmer.refresh.effects import Call, Routine, Sleep, Wait, pauses
from warmer.refresh.publisher import encoded_by
from warmer.refresh.refreshed import Computed, Refreshed
from warmer.refresh.refresher import FreshOk, Refresher, computing_values, is_fresh, never_ok
from warmer.refresh.request import CacheRequest
from warmer.refresh.single_flight import NO_RESULT, FlightResult, InFlight, SingleFlight, is_within_another
from warmer.store import Result
from warmer.wire import UNAVAILABLE, Reader

Returned = TypeVar("Returned")


@dataclass(slots=True, eq=False)
class Miss:
    """A missing value that a reader waits for.

    Args:
        request: The value.
        options: How it is cached.
        flight_name: Names the computation; readers of the same target share it.
        batch_size: How many are computed by one call of the task's batch function; 0 to compute it alone.
        flight: The flight that it has joined.
        leads: Whether this reader leads that flight.
        late_flight: A flight that has brought nothing in time.
        has_waited: Whether it has waited long enough to be computed without a lease.
        waiting_since_ms: Since when another process computes it, by the server's clock; 0 if none does.
        result: The outcome.
    """

    request: CacheRequest
    options: CacheOptions
    flight_name: Hashable
    batch_size: int = 0
    flight: InFlight | None = None
    leads: bool = False
    late_flight: InFlight | None = None
    has_waited: bool = False
    waiting_since_ms: int = 0
    result: FlightResult | None = None


def flight_name(request: CacheRequest) -> Hashable:
    """Return the name of the computation that readers share: of one target, not only of one key."""
    target = request.target
    return request.cache_key if target is None else (request.cache_key, target.task.task_id, target.identity)


class MissLeader:
    """Computes missing values, one or many by one call, for all readers of this process.

    Args:
        entry_key: Returns the name of a cache key's entry in Redis.
        reads: Reads what others have published, and knows whether Redis is away.
        refresher: The refresh routine, with the time-outs of readers.
        flights: The computations that are under way.
        clock: Measures the time.
        record: Records a refresh that a reader made.
        find_semaphore: Returns where computations without a lease queue up.
    """

    def __init__(
        self,
        entry_key: Callable[[str], str],
        reads: Reader,
        refresher: Refresher,
        flights: SingleFlight,
        clock: Clock,
        record: Callable[[Refreshed], None],
        find_semaphore: Callable[[], FairSemaphore],
    ) -> None:
        """Start idle."""
        self._entry_key = entry_key
        self._reads = reads
        self._refresher = refresher
        self._flights = flights
        self._clock = clock
        self._record = record
        self._find_semaphore = find_semaphore

    # --- flights -----------------------------------------------------------------------------------------------------
    def join(self, unjoined: deque[Miss], loop: asyncio.AbstractEventLoop | None) -> list[Miss]:
        """Let one after the other join its flight, until a batch is led by this caller; return that.

        Args:
            unjoined: Taken from its beginning.
            loop: The event loop beside which the caller runs, if any.
        """
        batch: list[Miss] = []
        while unjoined and len(batch) < (unjoined[0].batch_size or 1):
            miss = unjoined.popleft()
            miss.flight, miss.leads = self._flights.join(miss.flight_name, miss.late_flight)
            if miss.leads:
                miss.flight.loop = loop
                batch.append(miss)
        return batch

    def leading(
        self,
        unjoined: deque[Miss],
        wait_s: float,
        loop: asyncio.AbstractEventLoop | None = None,
        batch: list[Miss] | None = None,
    ) -> Routine[float]:
        """Compute a batch, then the next ones, or wait for other processes that compute them; resolve all flights.

        A batch is resolved before the next one joins, but for what another process computes: that is waited for only
        in the end, so that two processes that miss the same values share the work.

        Args:
            unjoined: What is to be computed; several routines may share it.
            wait_s: How long other processes are waited for.
            loop: The event loop beside which this runs, if any.
            batch: What comes first, from `join`.

        Returns:
            Until when others were waited for, on the monotonic clock.
        """
        led: list[Miss] = []
        unclear = NO_RESULT
        try:
            busy: list[Miss] = []
            batch = self.join(unjoined, loop) if batch is None else batch
            while batch:
                led += batch
                busy += yield from self._attempting(batch)
                batch = self.join(unjoined, loop) if unjoined else []
            deadline_s = self._clock.monotonic_s() + wait_s
            if busy:
                yield from self._waiting(busy, deadline_s)
        except Exception as error:
            unclear = FlightResult.with_error(error)
            raise
        finally:
            self.resolve_all(led, unclear)
        return deadline_s

    def resolve_all(self, led: Sequence[Miss], result: FlightResult) -> None:
        """Resolve those flights that are not resolved yet."""
        for miss in led:
            if miss.flight is not None and not miss.flight.done():
                self._flights.resolve(miss.flight_name, miss.flight, result)

    def _resolve(self, miss: Miss, result: FlightResult) -> None:
        if miss.flight is not None:
            self._flights.resolve(miss.flight_name, miss.flight, result)

    # --- under leases ------------------------------------------------------------------------------------------------
    def _attempting(self, batch: Sequence[Miss], fresh_ok: FreshOk = is_fresh) -> Routine[list[Miss]]:
        """Compute what nobody else does, and resolve it; return what other processes compute right now."""
        leased = self._leasable(batch)
        busy: list[Miss] = []
        fresh: list[Miss] = []
        try:
            refreshed = (yield from self._refreshing(leased, fresh_ok)) if leased else []
        except RedisError:
            leased, refreshed = (), []
        for miss, one in zip(leased, refreshed, strict=True):
            if one.result is Result.BUSY:
                miss.waiting_since_ms = miss.waiting_since_ms or one.now_ms
                busy.append(miss)
            elif one.result is Result.FRESH:
                fresh.append(miss)
            else:
                self._resolve(miss, self.result_of(one))
        if len(leased) < len(batch):
            yield from self._without_lease([miss for miss in batch if miss not in leased])
        if fresh and (unreadable := (yield from self._looking(fresh))):
            busy += yield from self._attempting(unreadable, never_ok)
        return busy

    def _leasable(self, batch: Sequence[Miss]) -> Sequence[Miss]:
        """Return the misses to take a lease for: all but those whose Redis is known to be unavailable."""
        if len(batch) == 1:
            return () if batch[0].has_waited else batch
        is_unavailable, name = self._reads.is_unavailable, self._entry_key
        return [miss for miss in batch if not (miss.has_waited or is_unavailable(name(miss.request.cache_key)))]

    def _refreshing(self, misses: Sequence[Miss], fresh_ok: FreshOk) -> Routine[list[Refreshed]]:
        return self._refresher.refreshing(
            list(map(attrgetter("request"), misses)),
            Origin.MISS,
            fresh_ok,
            waiting_since_ms=list(map(attrgetter("waiting_since_ms"), misses)),
            attempts=2,
            is_batched=misses[0].batch_size > 0,
            before_publishing=self._stop_joining,
        )

    def _stop_joining(self, request: CacheRequest) -> None:
        self._flights.stop_joining(flight_name(request))

    def result_of(self, refreshed: Refreshed) -> FlightResult:
        """Record a refresh, and return its result; followers get none if the lease was lost, say to an invalidation.

        Args:
            refreshed: How it ended: computed, here or elsewhere.
        """
        if not refreshed.was_elsewhere:
            self._record(refreshed)
        if refreshed.exception is not None:
            return FlightResult.with_error(refreshed.exception)
        return FlightResult(
            refreshed.value, refreshed.encoded, is_computed=True, is_abandoned=refreshed.result is Result.LOST
        )

    # --- what other processes compute --------------------------------------------------------------------------------
    def _waiting(self, busy: list[Miss], deadline_s: float) -> Routine[None]:
        """Resolve what others publish; compute what they give up. What is left has waited long enough."""
        for pause_s in pauses():
            remaining_s = deadline_s - self._clock.monotonic_s()
            if not busy or remaining_s <= 0:
                break
            yield Sleep(min(pause_s, remaining_s))
            waiting = deque((yield from self._looking(busy)))
            busy = []
            while waiting:
                size = min(len(waiting), waiting[0].batch_size or 1)
                busy += yield from self._attempting([waiting.popleft() for _ in range(size)])
        for miss in busy:
            miss.has_waited = True

    def _looking(self, misses: Sequence[Miss]) -> Routine[list[Miss]]:
        """Resolve what is cached by now, and can be read; return the rest."""
        missing = []
        for miss, result in zip(misses, (yield from self.looking(misses)), strict=True):
            if result is None:
                missing.append(miss)
            else:
                self._resolve(miss, result)
        return missing

    def looking(self, misses: Sequence[Miss]) -> Routine[list[FlightResult | None]]:
        """Return what is cached by now; None for what is not, cannot be read, or is out of reach."""
        keys = [self._entry_key(miss.request.cache_key) for miss in misses]
        try:
            entries = yield Call(lambda: self._reads.get_many(keys))
        except RedisError:
            return [None] * len(misses)
        return [
            None if entry is UNAVAILABLE else _result_in(miss, entry)
            for miss, entry in zip(misses, entries, strict=True)
        ]

    # --- without leases ----------------------------------------------------------------------------------------------
    def _without_lease(self, batch: Sequence[Miss]) -> Routine[None]:
        """Compute without leases, in turn, and resolve; or every outage of Redis would choke the source, too."""
        options = batch[0].options
        computing = computing_values(
            [miss.request for miss in batch],
            options.timeout_s,
            is_batched=batch[0].batch_size > 0,
            leaves_thread=options.leaves_thread,
            monotonic_s=self._clock.monotonic_s,
        )
        computed = yield from self._in_turn(options, computing)
        if computed is None:
            self.resolve_all(batch, FlightResult.with_error(waited_too_long(batch[0].request, options)))
            return
        for miss, one in zip(batch, computed, strict=True):
            self._resolve(miss, _result_without_lease(miss, one))

    def _in_turn(self, options: CacheOptions, computing: Routine[Returned]) -> Routine[Returned | None]:
        """Run a computation within the bound of those without a lease; None if its turn has not come in time."""
        if is_within_another():  # which has a turn, and waits for this
            return (yield from computing)
        semaphore = self._find_semaphore()
        turn = semaphore.acquire()
        try:
            try:
                yield Wait(turn, options.wait_s)
            except TimeoutError:  # the computations that hold the turns may wait for this one
                if options.after_wait != "compute":
                    return None
            return (yield from computing)
        finally:
            semaphore.release(turn)


def waited_too_long(request: CacheRequest, options: CacheOptions) -> WaitTimeoutError:
    """Return the error of a reader for whom another's computation took too long."""
    return WaitTimeoutError(
        f"another computation of {request.cache_key!r} has not ended within {options.wait_s:g} s (wait_s); "
        "wait longer, or let readers compute for themselves with after_wait='compute'"
    )


def _result_in(miss: Miss, entry: Any) -> FlightResult | None:
    """Return what an entry holds; None if it cannot be read."""
    request, options = miss.request, miss.options
    unpacked = unpack(entry)
    if unpacked is None or not request.is_in(unpacked[0]):
        return None
    header, payload = unpacked
    if header.codec == ERROR:
        return FlightResult.with_error(cached_error.restored(bytes(payload), options.cache_errors))
    try:
        options.codec.decode(request.cache_key, header.codec, payload)
    except CodecError:
        return None
    return FlightResult(encoded=Encoded(header.codec, bytes(payload)))


def _result_without_lease(miss: Miss, computed: Computed) -> FlightResult:
    """Return the result of a computation that is not cached; its value must be encodable, to be copied for others."""
    encoded = encoded_by(miss.options.codec, miss.request.cache_key, computed)
    if encoded.error is not None:
        return FlightResult.with_error(encoded.error)
    return FlightResult(encoded.value, encoded.encoded, is_computed=True)
