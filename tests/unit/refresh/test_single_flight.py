"""Single-in_flight: one leader for each key, one successor when it is too slow, and every follower gets the result."""

import asyncio
import threading

import pytest

from warmer.codec import Codec
from warmer.errors import ComputationFailedError
from warmer.refresh.single_flight import NO_RESULT, FlightResult, SingleFlight, computing, is_own, is_within_another


def result_of(value: object) -> FlightResult:
    return FlightResult(value, Codec().encode("k", value), is_computed=True)


def test_one_of_many_threads_leads():
    single_flight, barrier, joined = SingleFlight(), threading.Barrier(16), []

    def join():
        barrier.wait(10)
        in_flight, leads = single_flight.join("k")
        joined.append((in_flight, leads))

    threads = [threading.Thread(target=join) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sum(leads for _, leads in joined) == 1
    assert len({in_flight for in_flight, _ in joined}) == 1


def test_the_next_call_leads_once_the_result_is_there():
    single_flight = SingleFlight()
    first, _ = single_flight.join("k")
    single_flight.resolve("k", first, result_of(1))
    second, leads = single_flight.join("k")
    assert leads
    assert second is not first


def test_each_key_has_a_leader_of_its_own():
    single_flight = SingleFlight()
    assert single_flight.join("a")[1]
    assert single_flight.join("b")[1]


def test_one_successor_replaces_a_leader_that_is_too_slow():
    single_flight = SingleFlight()
    first, _ = single_flight.join("k")
    second, leads = single_flight.join("k", instead_of=first)
    assert leads
    assert single_flight.join("k", instead_of=first) == (second, False)
    assert single_flight.join("k") == (second, False)
    single_flight.resolve("k", second, result_of(2))
    assert single_flight.join("k", instead_of=first) == (second, False), "the successor has a result"


def test_the_value_of_a_late_leader_resolves_its_successors():
    single_flight = SingleFlight()
    first, _ = single_flight.join("k")
    second, _ = single_flight.join("k", instead_of=first)
    third, _ = single_flight.join("k", instead_of=second)
    single_flight.resolve("k", first, result_of([1]))
    for in_flight in (second, third):
        assert in_flight.result(0).for_follower("k", Codec()) == [1]
        assert not in_flight.result().is_computed, "a copy"
    assert single_flight.join("k")[1], "every call has its result"
    single_flight.resolve("k", second, result_of([2]))
    assert second.result().for_follower("k", Codec()) == [1], "the second result came too late"


def test_the_failure_of_a_late_leader_resolves_its_successors():
    single_flight = SingleFlight()
    first, _ = single_flight.join("k")
    second, _ = single_flight.join("k", instead_of=first)
    third, _ = single_flight.join("k", instead_of=second)
    single_flight.resolve("k", first, FlightResult.with_error(OSError("down")))
    for in_flight in (second, third):
        with pytest.raises(OSError, match="down"):
            in_flight.result(0).for_follower("k", Codec())


def test_a_leader_without_a_result_does_not_resolve_its_successor():
    single_flight = SingleFlight()
    first, _ = single_flight.join("k")
    second, _ = single_flight.join("k", instead_of=first)
    single_flight.resolve("k", first, NO_RESULT)
    assert not second.done()
    single_flight.resolve("k", second, result_of(2))
    assert second.result().value == 2


def test_a_leader_whose_loop_was_closed_is_replaced_at_once():
    single_flight, loop = SingleFlight(), asyncio.new_event_loop()
    first, _ = single_flight.join("k")
    first.loop = loop
    assert single_flight.join("k") == (first, False)
    loop.close()
    second, leads = single_flight.join("k")
    assert leads
    assert second is not first


def test_a_follower_gets_a_copy_and_the_leader_its_own_value():
    value = {"items": [1]}
    result = result_of(value)
    assert result.for_leader("k", Codec()) is value
    copy = result.for_follower("k", Codec())
    assert copy == value
    assert copy is not value
    assert copy is not result.for_follower("k", Codec())


def test_an_error_that_is_raised_often_keeps_the_frames_of_its_origin_only():
    def fail():
        raise OSError("down")

    try:
        fail()
    except OSError as error:
        result = FlightResult.with_error(error)

    def depth() -> int:
        try:
            result.for_follower("k", Codec())
        except OSError as error:
            frames, traceback = 0, error.__traceback__
            while traceback is not None:
                frames, traceback = frames + 1, traceback.tb_next
            return frames
        raise AssertionError("nothing was raised")

    assert depth() == depth() == depth()


def test_the_exit_of_a_leader_is_an_error_for_followers():
    result = FlightResult.with_error(SystemExit(3))
    with pytest.raises(SystemExit):
        result.for_leader("k", Codec())
    with pytest.raises(ComputationFailedError, match="SystemExit"):
        result.for_follower("k", Codec())


def test_a_computation_knows_its_keys():
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


def test_a_context_that_outlives_a_computation_is_no_part_of_it():
    import contextvars

    with computing("a"):
        context = contextvars.copy_context()
        assert context.run(is_own, "a")
    assert not context.run(is_own, "a")
    assert not context.run(is_within_another)
