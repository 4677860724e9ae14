"""What happens at a miss: of all readers, in all processes, one computes; and what is stale is renewed in between."""

import asyncio
import logging
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from secrets import token_hex
from typing import Any

from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from warmer import failure, forking
from warmer.access import uncounted
from warmer.behind import Behind
from warmer.clock import Clock
from warmer.codec import ERROR, Encoded
from warmer.compute import acall, call, is_async
from warmer.entry import Header, Origin, unpack
from warmer.errors import CodecError, WaitTimeoutError
from warmer.flights import ABANDONED, Flight, Flights, Landed, computing, is_own, is_within_another
from warmer.refresh import Refreshed, Refresher, Work, is_fresh, nothing_will_do
from warmer.resting import Resting
from warmer.settings import Settings
from warmer.slots import Slots
from warmer.steps import Compute, Do, Pause, Steps, Wait, arun, pauses, run
from warmer.store import Keys, Result
from warmer.terms import Terms
from warmer.wanted import Wanted
from warmer.wire import Reads

logger = logging.getLogger("warmer.cache")

THREADS = 8
"""For the short actions of event loops' readers, which block: scripts in Redis."""

HEED_FAILURES_MS = 400
"""Who would renew a value heeds a failure elsewhere that is no older; less than any rest after one of its own."""

OVERDUE = Landed(is_abandoned=True)
"""Stands for what has not landed in time."""

Fly = Callable[[Flight, Wanted, Steps[Landed]], None]


class Filler:
    """Computes missing values: once, however many ask.

    Args:
        keys: Names the keys.
        reads: Reads what another has computed, and knows whether Redis is away.
        refresher: The refresh routine, with the patience of a reader.
        settings: Time-outs.
        clock: Measures the time.
        settle: Takes note of a refresh that a reader made.
        behind: Where refreshes run that no reader waits for.
    """

    def __init__(
        self,
        keys: Keys,
        reads: Reads,
        refresher: Refresher,
        settings: Settings,
        clock: Clock,
        settle: Callable[[str, Origin, Refreshed], None],
        behind: Behind,
    ) -> None:
        """Start with nothing in flight."""
        self._entry_key = keys.entry
        self._reads = reads
        self._refresher = refresher
        self._settings = settings
        self._clock = clock
        self._settle = settle
        self._behind = behind
        self._flights = Flights()
        self._start_afresh()
        self._fork_hook = forking.in_child(self._start_afresh)

    def _start_afresh(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "warmer-cache")
        self._tasks: dict[asyncio.AbstractEventLoop, set[asyncio.Task[None]]] = {}
        self._slots = Slots(self._settings.computations_without_redis)
        self._resting = Resting(self._clock.monotonic_s)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False)

    # --- for those who wait for the value ----------------------------------------------------------------------
    def fill(self, wanted: Wanted) -> Any:
        """Compute a missing value, or wait for another who does.

        Raises:
            WaitTimeoutError: another's computation took longer than this task waits for.
            CodecError: the value cannot be cached as it is.
            Exception: what the function raises.
        """
        if is_own(wanted.cache_key):
            return call(wanted.function, wanted.arguments, wanted.terms.timeout_s)
        wanted = _with_terms(wanted)
        return _given(wanted, *run(self._filling(wanted, self._fly)))

    async def afill(self, wanted: Wanted) -> Any:
        """As `fill`, beside an event loop.

        The computation goes on when the caller is cancelled: others may wait for it, and the value is cached.
        """
        if is_own(wanted.cache_key):
            return await acall(wanted.function, wanted.arguments, wanted.terms.timeout_s)
        wanted = _with_terms(wanted)
        return _given(wanted, *await arun(self._filling(wanted, self._fly_in_task), self._threads))

    def _filling(self, wanted: Wanted, fly: Fly) -> Steps[tuple[Landed, bool]]:
        """Lead or follow, until there is an outcome; return it, and whether the caller led.

        Not everybody who has waited in vain computes: one does, and if that takes too long as well, one more.
        """
        terms, deadline_s = wanted.terms, self._clock.monotonic_s() + wanted.terms.wait_s
        in_vain: Flight | None = None
        has_waited = False
        while True:
            flight, leads = self._flights.board(_flight_of(wanted), instead_of=in_vain)
            if leads:
                fly(flight, wanted, self._unguarded(wanted) if has_waited else self._leading(wanted, deadline_s))
            landed = yield from self._outcome_of(flight, None if leads else self._patience_s(terms, deadline_s))
            if not landed.is_abandoned or (leads and landed.is_computed):
                return landed, leads
            has_waited = has_waited or landed is OVERDUE or self._clock.monotonic_s() >= deadline_s
            if has_waited and terms.after_wait != "compute":
                return (yield from self._after_waiting(wanted)), leads
            in_vain = flight

    def _patience_s(self, terms: Terms, deadline_s: float) -> float:
        """Return how long to wait for a flight; who is ready to compute gives each one the same time."""
        if terms.after_wait == "compute":
            return terms.wait_s
        return max(0.0, deadline_s - self._clock.monotonic_s())

    def _outcome_of(self, flight: Flight, patience_s: float | None) -> Steps[Landed]:
        try:
            landed: Landed = yield Wait(flight, patience_s, flight.loop)
        except TimeoutError:
            return OVERDUE
        return landed

    def _after_waiting(self, wanted: Wanted) -> Steps[Landed]:
        """Take what there is, if the task wants that, when another's computation takes too long."""
        if wanted.terms.after_wait == "stale":
            with suppress(RedisError):
                found: Landed | None = yield Do(lambda: self._look(wanted))
                if found is not None:
                    return found
        return Landed.with_error(_waited_in_vain(wanted))

    # --- for those who want it computed anew ------------------------------------------------------------------
    def refresh(self, wanted: Wanted) -> Any:
        """Compute a value here and now, whatever is cached, and publish it.

        Raises:
            WaitTimeoutError: another's computation took longer than this task waits for.
            CodecError: the value cannot be cached as it is.
            redis.RedisError: Redis did not answer.
            Exception: what the function raises.
        """
        if is_own(wanted.cache_key):
            return call(wanted.function, wanted.arguments, wanted.terms.timeout_s)
        return _value_of(run(self._refreshing(_with_terms(wanted))))

    async def arefresh(self, wanted: Wanted) -> Any:
        """As `refresh`, beside an event loop."""
        if is_own(wanted.cache_key):
            return await acall(wanted.function, wanted.arguments, wanted.terms.timeout_s)
        return _value_of(await arun(self._refreshing(_with_terms(wanted)), self._threads))

    def _refreshing(self, wanted: Wanted) -> Steps[Refreshed]:
        with uncounted():
            refreshed = yield from self._refresher.refreshing_in_turn(_work(wanted, Origin.WARM), nothing_will_do)
        if refreshed.result is Result.BUSY:
            raise _waited_in_vain(wanted)
        self._settle(wanted.ref, Origin.WARM, refreshed)
        return refreshed

    # --- for those who have a value already --------------------------------------------------------------------
    def renew_behind(self, wanted: Wanted) -> None:
        """Have a value refreshed behind the reader's back, unless that is under way or has just failed."""
        if not self._resting.is_resting(wanted.cache_key):
            arenew = (lambda: self._arenew(wanted)) if is_async(wanted.function) else None
            self._behind.offer(wanted.ref or wanted.cache_key, lambda: self._renew(wanted), arenew)

    def _renew(self, wanted: Wanted) -> Landed:
        """Refresh a value that can still be served; abandoned if somebody else is at it."""
        flight, leads = self._flights.board(_flight_of(wanted))
        if leads:
            self._fly(flight, wanted, self._renewing(_with_terms(wanted)))
        return flight.result() if leads else ABANDONED

    async def _arenew(self, wanted: Wanted) -> Landed:
        """As `_renew`, beside an event loop."""
        flight, leads = self._flights.board(_flight_of(wanted))
        if leads:
            await self._afly(flight, wanted, self._renewing(_with_terms(wanted)))
        return flight.result() if leads else ABANDONED

    # --- flying --------------------------------------------------------------------------------------------------
    def _fly(self, flight: Flight, wanted: Wanted, leading: Steps[Landed]) -> None:
        landed = ABANDONED
        try:
            landed = run(leading)
        except Exception as error:
            landed = Landed.with_error(error)
        finally:
            self._flights.land(_flight_of(wanted), flight, landed)

    def _fly_in_task(self, flight: Flight, wanted: Wanted, leading: Steps[Landed]) -> None:
        flight.loop = asyncio.get_running_loop()
        tasks = self._tasks_of(flight.loop)
        task = flight.loop.create_task(self._afly(flight, wanted, leading))
        tasks.add(task)  # the loop itself would let it be collected
        task.add_done_callback(tasks.discard)

    def _tasks_of(self, loop: asyncio.AbstractEventLoop) -> set[asyncio.Task[None]]:
        """Return the tasks of a loop; at the first one, forget loops that were closed in the middle of theirs."""
        if loop not in self._tasks:
            for closed in [other for other in list(self._tasks) if other.is_closed()]:
                self._tasks.pop(closed, None)
            self._flights.forget_lost()
        return self._tasks.setdefault(loop, set())

    async def _afly(self, flight: Flight, wanted: Wanted, leading: Steps[Landed]) -> None:
        landed = ABANDONED
        try:
            landed = await arun(leading, self._threads)
        except Exception as error:
            landed = Landed.with_error(error)
        finally:
            self._flights.land(_flight_of(wanted), flight, landed)

    # --- leading ---------------------------------------------------------------------------------------------------
    def _leading(self, wanted: Wanted, deadline_s: float) -> Steps[Landed]:
        """Look after a key on behalf of all readers of this process; abandoned if another is at it for too long."""
        entry_key = self._entry_key(wanted.cache_key)
        work = _work(wanted, Origin.MISS, lambda: self._flights.close(_flight_of(wanted)))
        will_do, waiting_since_ms, is_slow = is_fresh, 0, False
        for pause_s in pauses():
            try:
                refreshed = yield from self._refresher.refreshing(work, will_do, waiting_since_ms)
                if refreshed.result not in (Result.FRESH, Result.BUSY):
                    return self._landed(wanted, refreshed)
                if refreshed.result is Result.BUSY:
                    remaining_s = deadline_s - self._clock.monotonic_s()
                    if remaining_s <= 0:
                        return ABANDONED
                    waiting_since_ms = waiting_since_ms or refreshed.now_ms
                    yield Pause(min(pause_s, remaining_s))
                found: Landed | None = yield Do(lambda: self._look(wanted))
            except RedisError as error:
                if is_slow or self._reads.is_away(entry_key) or not isinstance(error, RedisTimeoutError):
                    self._refresher.release_later(work)
                    return (yield from self._unguarded(wanted))
                is_slow = True  # but it answers others: this process, or Redis, has too much to do at once
                continue
            if found is not None:
                return found
            if refreshed.result is Result.FRESH:
                will_do = nothing_will_do  # what cannot be read is replaced
        raise AssertionError("pauses never end")

    def _renewing(self, wanted: Wanted) -> Steps[Landed]:
        """Renew a value that can still be served; abandoned unless this is the one who does."""
        key, work = wanted.cache_key, _work(wanted, Origin.MISS)
        heed_since_ms = self._clock.now_ms() - HEED_FAILURES_MS
        try:
            refreshed = yield from self._refresher.refreshing(work, _is_not_to_be_renewed, heed_since_ms)
        except RedisError:
            self._refresher.release_later(work)
            self._resting.busy(key)
            return ABANDONED
        if refreshed.result is Result.BUSY:
            self._resting.busy(key)
            return ABANDONED
        if refreshed.result is Result.FAILED:
            self._resting.failed(key)
            logger.warning("%r could not be renewed, its old value is served: %s", key, refreshed.error)
        else:
            self._resting.recovered(key)
        return ABANDONED if refreshed.result is Result.FRESH else self._landed(wanted, refreshed)

    def _landed(self, wanted: Wanted, refreshed: Refreshed) -> Landed:
        """Return what a refresh brought; one that lost its lease, to an invalidation perhaps, is for nobody else."""
        if not refreshed.was_elsewhere:
            self._settle(wanted.ref, Origin.MISS, refreshed)
        if refreshed.exception is not None:
            return Landed.with_error(refreshed.exception)
        return Landed(
            refreshed.value, refreshed.encoded, is_computed=True, is_abandoned=refreshed.result is Result.LOST
        )

    def _look(self, wanted: Wanted) -> Landed | None:
        """Return what is cached by now, if it can be read.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        entry = unpack(self._refresher.entries.read(wanted.cache_key))
        if entry is None or not wanted.is_in(entry[0]):
            return None
        header, payload = entry
        if header.codec == ERROR:
            return Landed.with_error(failure.restored(bytes(payload), wanted.terms.cache_errors))
        try:
            wanted.terms.codec.decode(wanted.cache_key, header.codec, payload)
        except CodecError:
            return None
        return Landed(encoded=Encoded(header.codec, bytes(payload)))

    # --- without a lease -------------------------------------------------------------------------------------------
    def _unguarded(self, wanted: Wanted) -> Steps[Landed]:
        """Compute without a lease: only so many at once, or every outage of Redis would choke the source, too."""
        if is_within_another():  # which has a slot, and waits for this
            return (yield from self._computing(wanted))
        slots, terms = self._slots, wanted.terms
        turn = slots.take()
        try:
            try:
                yield Wait(turn, terms.wait_s)
            except TimeoutError:  # those who have the slots may even be waiting for this one
                if terms.after_wait != "compute":
                    return Landed.with_error(_waited_in_vain(wanted))
            return (yield from self._computing(wanted))
        finally:
            slots.leave(turn)

    def _computing(self, wanted: Wanted) -> Steps[Landed]:
        terms = wanted.terms
        try:
            with computing(wanted.cache_key):
                value = yield Compute(wanted.function, wanted.arguments, terms.timeout_s, terms.leaves_thread)
            return Landed(value, terms.codec.encode(wanted.cache_key, value), is_computed=True)
        except Exception as error:
            return Landed.with_error(error)


def _flight_of(wanted: Wanted) -> Hashable:
    """Return what those who share one computation have in common: the same target, not only the same key."""
    target = wanted.target
    return wanted.cache_key if target is None else (wanted.cache_key, target.task.task_id, target.identity)


def _with_terms(wanted: Wanted) -> Wanted:
    """Return the same with its terms worked out."""
    terms = wanted.terms
    return wanted._replace(find_terms=lambda: terms)


def _given(wanted: Wanted, landed: Landed, leads: bool) -> Any:
    key, codec = wanted.cache_key, wanted.terms.codec
    return landed.for_leader(key, codec) if leads else landed.for_follower(key, codec)


def _value_of(refreshed: Refreshed) -> Any:
    if refreshed.exception is not None:
        raise refreshed.exception
    return refreshed.value


def _work(wanted: Wanted, origin: Origin, before_publishing: Callable[[], None] = lambda: None) -> Work:
    return Work(
        wanted.ref,
        wanted.cache_key,
        wanted.terms,
        origin,
        wanted.function,
        wanted.arguments,
        token_hex(16),
        before_publishing,
    )


def _waited_in_vain(wanted: Wanted) -> WaitTimeoutError:
    return WaitTimeoutError(
        f"another computation of {wanted.cache_key!r} has not ended within {wanted.terms.wait_s:g} s (wait_s); "
        "wait longer, or let readers compute for themselves with after_wait='compute'"
    )


def _is_not_to_be_renewed(present: Header, now_ms: int) -> bool:
    return present.renew_from_ms > now_ms
