"""What happens when many values of a task with a batch function are missing: few calls, each value computed once."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any

from warmer.cache.batch_leader import BatchLeader, Seat
from warmer.cache.miss_leader import TIMED_OUT, MissLeader, after_waiting, landing_of
from warmer.cache.request import CacheRequest
from warmer.clock import Clock
from warmer.refresh.effects import Compute, Routine, Wait, arun, run
from warmer.refresh.single_flight import FlightResult, is_own

MOST_BATCHES_AT_ONCE = 4
"""Calls of an async reader's batch function that run side by side; those of a thread run one after the other."""

Lead = Callable[[deque[Seat], float, bool], "Sequence[Future[float]]"]
"""Has those led who have not boarded; brings until when others were waited for."""

Start = Callable[[Coroutine[Any, Any, Any]], "asyncio.Task[Any]"]
"""Starts a task beside the running event loop that goes on when its reader is cancelled."""


class BatchMissHandler:
    """Computes missing values in batches: each once, however many ask.

    Args:
        leader: Computes one value.
        batch_leader: Computes many.
        clock: Measures the time.
        start: Starts tasks.
        find_threads: Says where actions of event loops' readers run that block.
    """

    def __init__(
        self,
        leader: MissLeader,
        batch_leader: BatchLeader,
        clock: Clock,
        start: Start,
        find_threads: Callable[[], Executor],
    ) -> None:
        """Start idle."""
        self._leader = leader
        self._batch_leader = batch_leader
        self._clock = clock
        self._start = start
        self._find_threads = find_threads

    def fill(self, wanted: Sequence[CacheRequest]) -> list[Any]:
        """Compute missing values of one task, or wait for others who do.

        Raises:
            WaitTimeoutError: another's computation took longer than the task waits for.
            CodecError: a value cannot be cached as it is.
            Exception: what the function raises; if there are several errors, the first in the order of what is wanted,
                once all the others are cached.
        """
        seats = _seats_for(wanted)
        run(self._filling(seats, self._lead_here))
        return _given(seats)

    async def afill(self, wanted: Sequence[CacheRequest]) -> list[Any]:
        """As `fill`, beside an event loop.

        A batch that has begun goes on when the caller is cancelled: others may wait for it, and its values are cached.
        """
        seats = _seats_for(wanted)
        await arun(self._filling(seats, self._lead_in_tasks), self._find_threads())
        return _given(seats)

    def _filling(self, seats: Sequence[Seat], lead: Lead) -> Routine[None]:
        """Lead or follow, until there is an outcome for each.

        As with single values, one of those who have waited in vain computes, without a lease.
        """
        for seat in seats:
            if is_own(seat.wanted.cache_key):
                yield from self._computing_own(seat)
        while pending := [seat for seat in seats if seat.landed is None]:
            deadline_s = yield from self._leading(pending, lead)
            for seat in pending:
                yield from self._following(seat, deadline_s)

    def _computing_own(self, seat: Seat) -> Routine[None]:
        """Compute what this very computation is for, as its function asks for it itself."""
        wanted = seat.wanted
        seat.leads = True
        try:
            value = yield Compute(wanted.function, wanted.arguments, wanted.terms.timeout_s, leaves_thread=False)
        except Exception as error:
            seat.landed = FlightResult.with_error(error)
        else:
            seat.landed = FlightResult(value, is_computed=True)

    def _leading(self, pending: Sequence[Seat], lead: Lead) -> Routine[float]:
        """Have all led that nobody leads; return until when others are waited for."""
        wait_s = pending[0].wanted.terms.wait_s
        deadline_s = self._clock.monotonic_s() + wait_s
        for is_guarded in (True, False):
            unboarded = deque(seat for seat in pending if seat.flight is None and seat.has_waited is not is_guarded)
            if not unboarded:
                continue
            try:
                for ended in lead(unboarded, wait_s, is_guarded):
                    until_s: float = yield Wait(ended, None)
                    deadline_s = max(deadline_s, until_s)
            finally:
                unboarded.clear()  # when nobody wants them any more
        return deadline_s

    def _following(self, seat: Seat, deadline_s: float) -> Routine[None]:
        """Wait for what a seat's flight brings; if that is nothing, the seat has to board another."""
        if seat.flight is None:  # whoever was to board was stopped
            return
        patience_s = max(0.0, deadline_s - self._clock.monotonic_s())
        landed = yield from landing_of(seat.flight, None if seat.leads else patience_s)
        if not landed.is_abandoned or (seat.leads and landed.is_computed):
            seat.landed = landed
            return
        is_late = not seat.leads and self._clock.monotonic_s() >= deadline_s
        seat.has_waited = seat.has_waited or landed is TIMED_OUT or is_late
        if seat.has_waited and seat.wanted.terms.after_wait != "compute":
            seat.landed = yield from after_waiting(seat.wanted, self._leader)
        seat.in_vain, seat.flight, seat.leads = seat.flight, None, False

    # --- flying --------------------------------------------------------------------------------------------------
    def _lead_here(self, unboarded: deque[Seat], wait_s: float, is_guarded: bool) -> "list[Future[float]]":
        ended: Future[float] = Future()
        ended.set_result(run(self._batch_leader.leading(unboarded, wait_s, None, is_guarded=is_guarded)))
        return [ended]

    def _lead_in_tasks(self, unboarded: deque[Seat], wait_s: float, is_guarded: bool) -> "list[Future[float]]":
        loop = asyncio.get_running_loop()
        return [
            self._in_task(self._batch_leader.leading(unboarded, wait_s, loop, is_guarded=is_guarded))
            for _ in range(_tasks_for(unboarded))
        ]

    def _in_task(self, leading: Routine[float]) -> "Future[float]":
        ended: Future[float] = Future()
        self._start(arun(leading, self._find_threads())).add_done_callback(partial(_tell, ended))
        return ended


def _tasks_for(unboarded: Sequence[Seat]) -> int:
    if not unboarded or unboarded[0].wanted.target is None:
        return 0
    batch_size = unboarded[0].wanted.target.task.batch_size
    return min(MOST_BATCHES_AT_ONCE, -(-len(unboarded) // batch_size))


def _tell(ended: "Future[float]", task: "asyncio.Task[float]") -> None:
    if task.cancelled():
        ended.set_result(0.0)
    elif (error := task.exception()) is not None:
        ended.set_exception(error)
    else:
        ended.set_result(task.result())


def _seats_for(wanted: Sequence[CacheRequest]) -> list[Seat]:
    return [Seat(one.with_terms()) for one in wanted]


def _given(seats: Sequence[Seat]) -> list[Any]:
    return [_value_of(seat) for seat in seats]


def _value_of(seat: Seat) -> Any:
    landed = seat.landed or TIMED_OUT
    key, codec = seat.wanted.cache_key, seat.wanted.terms.codec
    return landed.for_leader(key, codec) if seat.leads else landed.for_follower(key, codec)
