"""What is done for many missing values of a task with a batch function: those that can be are computed together."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from secrets import token_hex
from typing import NamedTuple, cast

from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from warmer.cache.miss_leader import MissLeader, landed_from, landed_with, waited_in_vain, work_of
from warmer.cache.request import CacheRequest
from warmer.clock import Clock
from warmer.codec import cached_error
from warmer.codec.entry import Header, Origin
from warmer.refresh.batch import Part, computing_many
from warmer.refresh.cache_options import CacheOptions
from warmer.refresh.effects import Call, Routine, Sleep, pauses
from warmer.refresh.publisher import Computed, Done, Refreshed, RefreshRequest, computed_of, present_of
from warmer.refresh.refresher import Refresher, failed_elsewhere, is_fresh, nothing_will_do
from warmer.refresh.single_flight import NO_RESULT, FlightResult, InFlight, SingleFlight
from warmer.store import Keys, Lease
from warmer.tasks.target import Target
from warmer.tasks.task import WarmingTask
from warmer.wire import UNAVAILABLE, Reader


class Held(NamedTuple):
    """A value that is to be computed: its lease is held.

    Args:
        work: What to compute.
        lease: The lease.
        present: Header of the present entry, if that is the same target's.
    """

    work: RefreshRequest
    lease: Lease
    present: Header | None


class ManyRefresher:
    """The refresh routine, step by step, for values that are computed together.

    Args:
        refresher: The routine for one.
    """

    def __init__(self, refresher: Refresher) -> None:
        """Start idle."""
        self._refresher = refresher

    def take(self, works: Sequence[RefreshRequest], waiting_since_ms: Sequence[int]) -> list[Lease]:
        """Take the leases that can be had.

        Args:
            works: What is to be computed.
            waiting_since_ms: For each since when the caller has been waiting for another's computation, or 0; if that
                has failed since, the failure is told.

        Raises:
            redis.RedisError: Redis did not answer; some may have been taken.
        """
        take = self._refresher.entries.take_leases
        asked = zip(works, waiting_since_ms, strict=True)
        leases = take([(work.cache_key, work.token, since_ms) for work, since_ms in asked])
        for index, (work, lease) in enumerate(zip(works, leases, strict=True)):
            if lease.failure and not cached_error.is_of(
                lease.failure, work.ref
            ):  # but of another target with the same key
                (leases[index],) = take([(work.cache_key, work.token, 0)])
        return leases

    def renewing(self, works: Sequence[RefreshRequest]) -> AbstractContextManager[None]:
        """Keep leases for as long as the block runs."""
        return self._refresher.renewing(works)

    def counting(self, work: RefreshRequest) -> AbstractContextManager[None]:
        """Count one computation in this block under the limit that protects what it asks."""
        return self._refresher.counting(work.terms)

    def release(self, works: Sequence[RefreshRequest]) -> None:
        """Give leases back; those that are not held any more are left alone."""
        self._refresher.publisher.release(works)

    def release_later(self, works: Sequence[RefreshRequest]) -> None:
        """Have leases released once Redis answers: they may have been taken, though nobody was told in time."""
        for work in works:
            self._refresher.release_later(work)

    def conclude(self, held: Sequence[Held], parts: Sequence[Part]) -> list[Refreshed]:
        """Publish what was computed, be it values or exceptions that are cached; or tell those who wait.

        Args:
            held: What was to be computed.
            parts: What came of each.

        Returns:
            How each ended.
        """
        for one in held:
            one.work.before_publishing()
        done = [Done(one.work, one.lease, _computed(one.work, part)) for one, part in zip(held, parts, strict=True)]
        return [
            refreshed if refreshed.exception else refreshed._replace(value=part.value)
            for refreshed, part in zip(self._refresher.publisher.publish(done), parts, strict=True)
        ]


def _computed(work: RefreshRequest, part: Part) -> Computed:
    return computed_of(work.terms.codec, work.cache_key, part.duration_s, part.value, part.error)


def held_by(work: RefreshRequest, lease: Lease) -> Held:
    """Return what is to be computed under a lease that was taken."""
    return Held(work, lease, present_of(work, lease))


@dataclass(slots=True, eq=False)
class Seat:
    """One of many wanted values, and the flight that is to bring it.

    Args:
        wanted: The value.
        flight: Its flight, once it has boarded one.
        leads: Whether this caller leads that flight.
        in_vain: A flight that it has waited for in vain.
        has_waited: Whether it has waited long enough to be computed without a lease.
        landed: What came of it in the end.
    """

    wanted: CacheRequest
    flight: InFlight | None = None
    leads: bool = False
    in_vain: InFlight | None = None
    has_waited: bool = False
    landed: FlightResult | None = None


@dataclass(slots=True, eq=False)
class _Led:
    """One value that this leader looks after.

    Args:
        seat: Who asked for it.
        flight: Whoever wants it waits for this.
        work: What is done for it.
        waiting_since_ms: Since when another computes it, by the server's clock; 0 if nobody does.
        will_do: Says whether a present entry will do.
    """

    seat: Seat
    flight: InFlight
    work: RefreshRequest
    waiting_since_ms: int = 0
    will_do: Callable[[Header, int], bool] = is_fresh

    @property
    def wanted(self) -> CacheRequest:
        """The value."""
        return self.seat.wanted


class BatchLeader:
    """Computes missing values together, or gets hold of them, for all readers of this process.

    Args:
        keys: Names the keys.
        reads: Reads what others have published, and knows whether Redis is away.
        leader: Does it for one.
        refresher: The refresh routine for many.
        flights: The computations that are under way.
        clock: Measures the time.
    """

    def __init__(
        self,
        keys: Keys,
        reads: Reader,
        leader: MissLeader,
        refresher: ManyRefresher,
        flights: SingleFlight,
        clock: Clock,
    ) -> None:
        """Start idle."""
        self._entry_key = keys.entry
        self._reads = reads
        self._leader = leader
        self._refresher = refresher
        self._flights = flights
        self._clock = clock

    def leading(
        self, unboarded: deque[Seat], wait_s: float, loop: asyncio.AbstractEventLoop | None, *, is_guarded: bool
    ) -> Routine[float]:
        """Board the flights of those who have none, batch by batch, and look after all that this caller leads.

        A batch is landed before the next one boards, but for what another process computes: that is waited for only
        in the end, so that two processes who want the same share the work.

        Args:
            unboarded: Taken from its beginning; several routines may share it.
            wait_s: How long others' computations are waited for.
            loop: The event loop beside which this runs, if any.
            is_guarded: Whether to compute under leases.

        Returns:
            Until when others were waited for, on the monotonic clock.
        """
        aboard: list[_Led] = []
        unclear = NO_RESULT
        try:
            busy: list[_Led] = []
            while batch := self._boarded(unboarded, aboard, loop):
                busy += yield from (self._tried(batch) if is_guarded else self._unguarded(batch))
            deadline_s = self._clock.monotonic_s() + wait_s
            yield from self._waiting_for(busy, deadline_s)
        except Exception as error:
            unclear = FlightResult.with_error(error)
            raise
        finally:
            for led in aboard:
                self._land(led, unclear)  # unless it has landed
        return deadline_s

    # --- flights ---------------------------------------------------------------------------------------------------
    def _boarded(
        self, unboarded: deque[Seat], aboard: list[_Led], loop: asyncio.AbstractEventLoop | None
    ) -> list[_Led]:
        """Let one after the other board, until a batch is led by this caller; return that, added to who is aboard."""
        token, first = token_hex(16), len(aboard)
        while unboarded and len(aboard) - first < _task_of(unboarded[0].wanted).batch_size:
            seat = unboarded.popleft()
            seat.flight, seat.leads = self._flights.board(seat.wanted.flight_name, instead_of=seat.in_vain)
            if seat.leads:
                seat.flight.loop = loop
                aboard.append(_Led(seat, seat.flight, self._work(seat.wanted, token)))
        return aboard[first:]

    def _work(self, wanted: CacheRequest, token: str) -> RefreshRequest:
        return work_of(wanted, Origin.MISS, token, lambda: self._flights.close(wanted.flight_name))

    def _land(self, led: _Led, landed: FlightResult) -> None:
        if not led.flight.done():
            self._flights.land(led.wanted.flight_name, led.flight, landed)

    # --- under leases ----------------------------------------------------------------------------------------------
    def _tried(self, batch: Sequence[_Led]) -> Routine[list[_Led]]:
        """Compute what nobody else does, and land it; return what others compute right now."""
        away = {led: None for led in batch if self._is_unavailable(led)}
        within_reach = [led for led in batch if led not in away]
        try:
            leases = yield from self._taking(within_reach)
        except RedisError:
            self._refresher.release_later([led.work for led in within_reach])
            yield from self._unguarded(batch)
            return []
        to_compute, fresh, busy = self._sorted(within_reach, leases)
        yield from self._computing(to_compute, fresh)
        yield from self._unguarded(list(away))
        for led in (yield from self._looking(fresh)):
            led.will_do = nothing_will_do  # what cannot be read is replaced
            busy.append(led)
        return busy

    def _is_unavailable(self, led: _Led) -> bool:
        return self._reads.is_unavailable(self._entry_key(led.wanted.cache_key))

    def _taking(self, batch: Sequence[_Led]) -> Routine[list[Lease]]:
        """Take leases; ask a second time if Redis, or this process, only had too much to do at once.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        if not batch:
            return []
        works, since_ms = [led.work for led in batch], [led.waiting_since_ms for led in batch]
        for is_last in (False, True):
            try:
                leases: list[Lease] = yield Call(lambda: self._refresher.take(works, since_ms))
            except RedisTimeoutError:
                if is_last or any(map(self._is_unavailable, batch)):
                    raise
            except (GeneratorExit, RedisError):
                raise
            except BaseException:
                yield Call(lambda: self._refresher.release(works))
                raise
            else:
                return leases
        raise AssertionError("the last attempt returns or raises")

    def _sorted(
        self, batch: Sequence[_Led], leases: Sequence[Lease]
    ) -> tuple[dict[_Led, Held], list[_Led], list[_Led]]:
        """Return what is to be computed here, what is fresh, and what others compute; land what has failed there."""
        to_compute: dict[_Led, Held] = {}
        fresh, busy = [], []
        for led, lease in zip(batch, leases, strict=True):
            held = held_by(led.work, lease)
            if lease.failure:
                self._land(led, self._leader.landed(led.wanted, failed_elsewhere(led.work, lease)))
            elif not lease.taken:
                led.waiting_since_ms = led.waiting_since_ms or lease.now_ms
                busy.append(led)
            elif held.present is not None and led.will_do(held.present, lease.now_ms):
                fresh.append(led)
            else:
                to_compute[led] = held
        return to_compute, fresh, busy

    def _computing(self, to_compute: dict[_Led, Held], fresh: Sequence[_Led]) -> Routine[None]:
        """Give back the leases of what is fresh; compute the rest under theirs, publish and land it."""
        unneeded, works = [led.work for led in fresh], [led.work for led in to_compute]
        try:
            if unneeded:
                yield Call(lambda: self._refresher.release(unneeded))
            if works:
                yield from self._publishing(to_compute, works)
        except GeneratorExit:
            raise
        except BaseException:
            yield Call(lambda: self._refresher.release(unneeded + works))
            raise

    def _publishing(self, to_compute: dict[_Led, Held], works: Sequence[RefreshRequest]) -> Routine[None]:
        held = list(to_compute.values())
        with self._refresher.renewing(works):
            with self._refresher.counting(held[0].work):
                parts = yield from self._parts_of(list(to_compute))
            concluded = yield Call(lambda: self._refresher.conclude(held, parts))
        for led, refreshed in zip(to_compute, concluded, strict=True):
            self._land(led, self._leader.landed(led.wanted, refreshed))

    def _parts_of(self, batch: Sequence[_Led]) -> Routine[list[Part]]:
        terms = _terms_of(batch)
        return (
            yield from computing_many(
                _task_of(batch[0].wanted),
                [_target_of(led.wanted) for led in batch],
                terms.timeout_s,
                leaves_thread=terms.leaves_thread,
                monotonic_s=self._clock.monotonic_s,
            )
        )

    # --- what others compute -----------------------------------------------------------------------------------------
    def _waiting_for(self, busy: list[_Led], deadline_s: float) -> Routine[None]:
        """Land what others publish; what they give up is computed here. What is left has waited long enough."""
        for pause_s in pauses():
            remaining_s = deadline_s - self._clock.monotonic_s()
            if not busy or remaining_s <= 0:
                break
            yield Sleep(min(pause_s, remaining_s))
            waiting = deque((yield from self._looking(busy)))
            busy = []
            while waiting:
                size = min(len(waiting), _task_of(waiting[0].wanted).batch_size)
                busy += yield from self._tried([waiting.popleft() for _ in range(size)])
        for led in busy:
            led.seat.has_waited = True

    def _looking(self, batch: Sequence[_Led]) -> Routine[list[_Led]]:
        """Land what is cached by now, and can be read; return the rest."""
        if not batch:
            return []
        keys = [self._entry_key(led.wanted.cache_key) for led in batch]
        try:
            entries = yield Call(lambda: self._reads.get_many(keys))
        except RedisError:
            entries = [UNAVAILABLE] * len(keys)
        missing = []
        for led, entry in zip(batch, entries, strict=True):
            landed = None if entry is UNAVAILABLE else landed_from(led.wanted, entry)
            if landed is None:
                missing.append(led)
            else:
                self._land(led, landed)
        return missing

    # --- without leases -------------------------------------------------------------------------------------------
    def _unguarded(self, batch: Sequence[_Led]) -> Routine[list[_Led]]:
        """Compute without leases, in turn, and land it; nothing is left."""
        if not batch:
            return []
        parts = yield from self._leader.in_turn(_terms_of(batch), self._parts_of(batch))
        for led, part in zip(batch, [None] * len(batch) if parts is None else parts, strict=True):
            self._land(led, _landed_unguarded(led.wanted, part))
        return []


def _landed_unguarded(wanted: CacheRequest, part: Part | None) -> FlightResult:
    if part is None:
        return FlightResult.with_error(waited_in_vain(wanted))
    if part.error is not None:
        return FlightResult.with_error(part.error)
    try:
        return landed_with(wanted, part.value)
    except Exception as error:
        return FlightResult.with_error(error)


def _terms_of(batch: Sequence[_Led]) -> CacheOptions:
    return batch[0].wanted.terms  # all are of one task


def _task_of(wanted: CacheRequest) -> WarmingTask:
    return _target_of(wanted).task


def _target_of(wanted: CacheRequest) -> Target:
    return cast(Target, wanted.target)  # only tasks have batch functions
