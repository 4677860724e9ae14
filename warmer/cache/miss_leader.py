"""What is done for a missing value on behalf of all who want it: computed under a lease, or taken from who has it."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from secrets import token_hex
from typing import Any, TypeVar

from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from warmer.cache.fair_semaphore import FairSemaphore
from warmer.cache.request import CacheRequest
from warmer.clock import Clock
from warmer.codec import ERROR, Encoded, cached_error
from warmer.codec.entry import Origin, unpack
from warmer.errors import CodecError, WaitTimeoutError
from warmer.refresh.cache_options import CacheOptions
from warmer.refresh.effects import Call, Compute, Routine, Sleep, Wait, pauses
from warmer.refresh.publisher import Refreshed, RefreshRequest
from warmer.refresh.refresher import Refresher, is_fresh, nothing_will_do
from warmer.refresh.single_flight import NO_RESULT, FlightResult, InFlight, SingleFlight, computing, is_within_another
from warmer.store import Keys, Result
from warmer.wire import Reader

Returned = TypeVar("Returned")


class MissLeader:
    """Computes a missing value, or gets hold of it, for all readers of this process.

    Args:
        keys: Names the keys.
        reads: Knows whether Redis is away.
        refresher: The refresh routine, with the patience of a reader.
        clock: Measures the time.
        flights: The computations that are under way.
        settle: Takes note of a refresh that a reader made.
        find_slots: Says where computations without a lease queue up.
    """

    def __init__(
        self,
        keys: Keys,
        reads: Reader,
        refresher: Refresher,
        clock: Clock,
        flights: SingleFlight,
        settle: Callable[[str, Origin, Refreshed], None],
        find_slots: Callable[[], FairSemaphore],
    ) -> None:
        """Start idle."""
        self._entry_key = keys.entry
        self._reads = reads
        self._refresher = refresher
        self._clock = clock
        self._flights = flights
        self._settle = settle
        self._find_slots = find_slots

    # --- under a lease -----------------------------------------------------------------------------------------------
    def leading(self, wanted: CacheRequest, deadline_s: float) -> Routine[FlightResult]:
        """Return what came of a value: computed here, or published by another; without a lease if Redis is away.

        Args:
            wanted: What is missing.
            deadline_s: Until when another's computation is waited for; then it is abandoned.
        """
        work = work_of(wanted, Origin.MISS, before_publishing=lambda: self._flights.close(wanted.flight_name))
        try:
            return (yield from self._under_lease(wanted, work, deadline_s))
        except RedisError:
            self._refresher.release_later(work)
            return (yield from self.unguarded(wanted))

    def _under_lease(self, wanted: CacheRequest, work: RefreshRequest, deadline_s: float) -> Routine[FlightResult]:
        will_do, waiting_since_ms = is_fresh, 0
        for pause_s in pauses():
            refreshing = partial(self._refresher.refreshing, work, will_do, waiting_since_ms)
            refreshed = yield from self._twice_if_slow(wanted, refreshing)
            if refreshed.result not in (Result.FRESH, Result.BUSY):
                return self.landed(wanted, refreshed)
            if refreshed.result is Result.BUSY:
                remaining_s = deadline_s - self._clock.monotonic_s()
                if remaining_s <= 0:
                    return NO_RESULT
                waiting_since_ms = waiting_since_ms or refreshed.now_ms
                yield Sleep(min(pause_s, remaining_s))
            found = yield from self._twice_if_slow(wanted, partial(self.looking, wanted))
            if found is not None:
                return found
            if refreshed.result is Result.FRESH:
                will_do = nothing_will_do  # what cannot be read is replaced
        raise AssertionError("pauses never end")

    def _twice_if_slow(self, wanted: CacheRequest, attempt: Callable[[], Routine[Returned]]) -> Routine[Returned]:
        """Make an attempt; a second one if Redis, or this process, only had too much to do at once.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        try:
            return (yield from attempt())
        except RedisTimeoutError:
            if self._reads.is_unavailable(self._entry_key(wanted.cache_key)):
                raise
        return (yield from attempt())

    def landed(self, wanted: CacheRequest, refreshed: Refreshed) -> FlightResult:
        """Return what a refresh brought; one that lost its lease, to an invalidation perhaps, is for nobody else.

        Args:
            wanted: What was missing.
            refreshed: How its refresh ended: computed, here or elsewhere.
        """
        if not refreshed.was_elsewhere:
            self._settle(wanted.ref, Origin.MISS, refreshed)
        if refreshed.exception is not None:
            return FlightResult.with_error(refreshed.exception)
        return FlightResult(
            refreshed.value, refreshed.encoded, is_computed=True, is_abandoned=refreshed.result is Result.LOST
        )

    # --- what another has published ----------------------------------------------------------------------------------
    def looking(self, wanted: CacheRequest) -> Routine[FlightResult | None]:
        """Return what is cached by now; None if there is nothing that can be read.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        entry: bytes | None = yield Call(lambda: self._refresher.entries.read(wanted.cache_key))
        return landed_from(wanted, entry)

    # --- without a lease -------------------------------------------------------------------------------------------
    def unguarded(self, wanted: CacheRequest) -> Routine[FlightResult]:
        """Compute without a lease, in turn."""
        landed = yield from self.in_turn(wanted.terms, self._computing(wanted))
        return FlightResult.with_error(waited_in_vain(wanted)) if landed is None else landed

    def in_turn(self, terms: CacheOptions, computation: Routine[Returned]) -> Routine[Returned | None]:
        """Run a computation without a lease: so many at once, or every outage of Redis would choke the source, too.

        Args:
            terms: How long its turn is waited for, and what is done then.
            computation: What to run.

        Returns:
            What it returned; None if its turn has not come, and the terms do not let it go without.
        """
        if is_within_another():  # which has a slot, and waits for this
            return (yield from computation)
        slots = self._find_slots()
        turn = slots.take()
        try:
            try:
                yield Wait(turn, terms.wait_s)
            except TimeoutError:  # those who have the slots may even be waiting for this one
                if terms.after_wait != "compute":
                    return None
            return (yield from computation)
        finally:
            slots.leave(turn)

    def _computing(self, wanted: CacheRequest) -> Routine[FlightResult]:
        terms = wanted.terms
        try:
            with computing(wanted.cache_key):
                value = yield Compute(wanted.function, wanted.arguments, terms.timeout_s, terms.leaves_thread)
            return landed_with(wanted, value)
        except Exception as error:
            return FlightResult.with_error(error)


def landed_with(wanted: CacheRequest, value: Any) -> FlightResult:
    """Return a value that was computed here, and is not cached, as what a flight brought.

    Raises:
        CodecError: it cannot be stored as it is, and so not be copied for others.
    """
    return FlightResult(value, wanted.terms.codec.encode(wanted.cache_key, value), is_computed=True)


def landed_from(wanted: CacheRequest, entry: bytes | None) -> FlightResult | None:
    """Return what an entry holds, as what a flight brought; None if it cannot be read."""
    unpacked = unpack(entry)
    if unpacked is None or not wanted.is_in(unpacked[0]):
        return None
    header, payload = unpacked
    if header.codec == ERROR:
        return FlightResult.with_error(cached_error.restored(bytes(payload), wanted.terms.cache_errors))
    try:
        wanted.terms.codec.decode(wanted.cache_key, header.codec, payload)
    except CodecError:
        return None
    return FlightResult(encoded=Encoded(header.codec, bytes(payload)))


def work_of(
    wanted: CacheRequest, origin: Origin, token: str | None = None, before_publishing: Callable[[], None] = lambda: None
) -> RefreshRequest:
    """Return what is to be done for a wanted value.

    Args:
        wanted: The value.
        origin: Who computes it.
        token: What its lease is taken with; a new one unless it is given.
        before_publishing: Called when the value is known, and not yet published.
    """
    return RefreshRequest(
        wanted.ref,
        wanted.cache_key,
        wanted.terms,
        origin,
        wanted.function,
        wanted.arguments,
        token or token_hex(16),
        before_publishing,
    )


def waited_in_vain(wanted: CacheRequest) -> WaitTimeoutError:
    """Return the error of a reader for whom another's computation took too long."""
    return WaitTimeoutError(
        f"another computation of {wanted.cache_key!r} has not ended within {wanted.terms.wait_s:g} s (wait_s); "
        "wait longer, or let readers compute for themselves with after_wait='compute'"
    )


TIMED_OUT = FlightResult(is_abandoned=True)
"""Stands for what has not landed in time."""


def landing_of(flight: InFlight, patience_s: float | None) -> Routine[FlightResult]:
    """Return what a flight brought, or `TIMED_OUT`.

    Args:
        flight: The flight.
        patience_s: How long to wait for it; None for as long as it takes.
    """
    try:
        landed: FlightResult = yield Wait(flight, patience_s, flight.loop)
    except TimeoutError:
        return TIMED_OUT
    return landed


def after_waiting(wanted: CacheRequest, leader: MissLeader) -> Routine[FlightResult]:
    """Take what there is, if the task wants that, when another's computation takes too long.

    Args:
        wanted: What was waited for.
        leader: Looks for it.
    """
    if wanted.terms.after_wait == "stale":
        with suppress(RedisError):
            found = yield from leader.looking(wanted)
            if found is not None:
                return found
    return FlightResult.with_error(waited_in_vain(wanted))
