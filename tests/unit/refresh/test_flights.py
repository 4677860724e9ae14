"""Flights: one leader each, one successor each, and nobody who waits is forgotten."""

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.cache.fair_semaphore import FairSemaphore
from warmer.cache.refresh_backoff import BUSY_BACKOFF_S, MAX_BACKOFF_S, MAX_KEYS, RefreshBackoff
from warmer.codec import Codec
from warmer.errors import ComputationFailedError
from warmer.refresh.single_flight import NO_RESULT, FlightResult, SingleFlight, computing, is_own, is_within_another


def landed(value: object) -> FlightResult:
    return FlightResult(value, Codec().encode("k", value), is_computed=True)


def test_of_many_threads_one_leads():
    flights, barrier, led = SingleFlight(), threading.Barrier(16), []

    def board():
        barrier.wait(10)
        flight, leads = flights.join("k")
        led.append((flight, leads))

    threads = [threading.Thread(target=board) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sum(leads for _, leads in led) == 1
    assert len({flight for flight, _ in led}) == 1


def test_once_it_has_landed_the_next_flight_begins():
    flights = SingleFlight()
    first, _ = flights.join("k")
    flights.resolve("k", first, landed(1))
    second, leads = flights.join("k")
    assert leads
    assert second is not first


def test_keys_do_not_share_flights():
    flights = SingleFlight()
    assert flights.join("a")[1]
    assert flights.join("b")[1]


def test_one_successor_takes_the_place_of_a_flight_that_is_waited_for_in_vain():
    flights = SingleFlight()
    first, _ = flights.join("k")
    second, leads = flights.join("k", instead_of=first)
    assert leads
    assert flights.join("k", instead_of=first) == (second, False)
    assert flights.join("k") == (second, False)
    flights.resolve("k", second, landed(2))
    assert flights.join("k", instead_of=first) == (second, False), "also when it has landed since"


def test_a_late_flight_brings_its_value_to_those_who_wait_for_its_successor():
    flights = SingleFlight()
    first, _ = flights.join("k")
    second, _ = flights.join("k", instead_of=first)
    third, _ = flights.join("k", instead_of=second)
    flights.resolve("k", first, landed([1]))
    for flight in (second, third):
        assert flight.result(0).for_follower("k", Codec()) == [1]
        assert not flight.result().is_computed, "a copy"
    assert flights.join("k")[1], "all of them have ended"
    flights.resolve("k", second, landed([2]))
    assert second.result().for_follower("k", Codec()) == [1], "it came too late"


def test_a_late_failure_is_told_to_those_who_wait_for_the_successor():
    flights = SingleFlight()
    first, _ = flights.join("k")
    second, _ = flights.join("k", instead_of=first)
    third, _ = flights.join("k", instead_of=second)
    flights.resolve("k", first, FlightResult.with_error(OSError("down")))
    for flight in (second, third):
        with pytest.raises(OSError, match="down"):
            flight.result(0).for_follower("k", Codec())


def test_a_flight_that_was_given_up_is_no_concern_of_the_successor_s():
    flights = SingleFlight()
    first, _ = flights.join("k")
    second, _ = flights.join("k", instead_of=first)
    flights.resolve("k", first, NO_RESULT)
    assert not second.done()
    flights.resolve("k", second, landed(2))
    assert second.result().value == 2


def test_a_flight_whose_loop_was_closed_is_replaced_at_once():
    flights, loop = SingleFlight(), asyncio.new_event_loop()
    first, _ = flights.join("k")
    first.loop = loop
    assert flights.join("k") == (first, False)
    loop.close()
    second, leads = flights.join("k")
    assert leads
    assert second is not first


def test_a_follower_has_a_copy_and_the_leader_its_own():
    value = {"items": [1]}
    brought = landed(value)
    assert brought.for_leader("k", Codec()) is value
    copy = brought.for_follower("k", Codec())
    assert copy == value
    assert copy is not value
    assert copy is not brought.for_follower("k", Codec())


def test_an_error_is_raised_with_the_frames_of_its_origin_only():
    def fail():
        raise OSError("down")

    try:
        fail()
    except OSError as error:
        brought = FlightResult.with_error(error)

    def depth() -> int:
        try:
            brought.for_follower("k", Codec())
        except OSError as error:
            frames, traceback = 0, error.__traceback__
            while traceback is not None:
                frames, traceback = frames + 1, traceback.tb_next
            return frames
        raise AssertionError("nothing was raised")

    assert depth() == depth() == depth()


def test_another_s_exit_is_no_exit_of_the_follower_s():
    brought = FlightResult.with_error(SystemExit(3))
    with pytest.raises(SystemExit):
        brought.for_leader("k", Codec())
    with pytest.raises(ComputationFailedError, match="SystemExit"):
        brought.for_follower("k", Codec())


def test_a_computation_knows_what_it_is_for():
    assert not is_own("a")
    with computing("a"):
        assert is_own("a")
        assert not is_own("b")
        assert is_within_another()
        with computing("b"):
            assert is_own("a")
            assert is_own("b")
        assert not is_own("b")
    assert not is_own("a")
    assert not is_within_another()


def test_a_thread_that_outlives_a_computation_is_no_part_of_it():
    import contextvars

    with computing("a"):
        context = contextvars.copy_context()
        assert context.run(is_own, "a")
    assert not context.run(is_own, "a")
    assert not context.run(is_within_another)


# --- slots ------------------------------------------------------------------------------------------------------------
@given(st.integers(1, 4), st.lists(st.tuples(st.booleans(), st.integers(0, 10)), max_size=60))
def test_never_more_turns_than_slots_and_always_first_come_first_served(count, moves):
    slots, here = FairSemaphore(count), []
    for takes, which in moves:
        if takes or not here:
            here.append(slots.acquire())
        else:
            slots.release(here.pop(which % len(here)))
        have_turns = [turn.done() for turn in here]
        assert have_turns == [True] * min(count, len(here)) + [False] * max(0, len(here) - count)


# --- backoff ----------------------------------------------------------------------------------------------------------
class Now:
    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


def backoff_s(backoff: RefreshBackoff, now: Now) -> float:
    began_s = now.s
    while backoff.is_blocked("k"):
        now.s += 0.125
    return now.s - began_s


def test_backoffs_grow_with_failures_in_a_row_up_to_a_bound():
    now = Now()
    backoff, backoffs = RefreshBackoff(now, random_unit=lambda: 1.0), []
    for _ in range(8):
        backoff.failed("k")
        backoffs.append(backoff_s(backoff, now))
    assert backoffs == [1, 2, 4, 8, 16, MAX_BACKOFF_S, MAX_BACKOFF_S, MAX_BACKOFF_S]
    backoff.recovered("k")
    backoff.failed("k")
    assert backoff_s(backoff, now) == 1


def test_what_another_looks_after_backoffs_shortly_and_has_not_failed():
    now = Now()
    backoff = RefreshBackoff(now, random_unit=lambda: 1.0)
    backoff.busy("k")
    assert backoff_s(backoff, now) == BUSY_BACKOFF_S
    backoff.failed("k")
    assert backoff_s(backoff, now) == 1


def test_the_memory_of_backoffs_is_bounded():
    backoff = RefreshBackoff(Now())
    for number in range(2 * MAX_KEYS + 5):
        backoff.failed(f"k{number}")
    assert len(backoff._blocked) <= MAX_KEYS
