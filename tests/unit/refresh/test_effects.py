"""One routine, run by a thread and beside a loop: the same outcome, the same errors, nothing undone that was begun."""

import asyncio
import gc
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from warmer.errors import ComputeTimeoutError
from warmer.refresh.effects import Call, Compute, Sleep, Wait, arun, run


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as made:
        yield made


@pytest.fixture(params=["sync", "async"])
def run_it(request, threads):
    """Runs a routine in one of the two ways."""
    if request.param == "sync":
        return run
    return lambda steps: asyncio.run(arun(steps, threads))


def compute(function, timeout_s=None, leaves_thread=False, **arguments):
    return Compute(function, arguments, timeout_s, leaves_thread)


async def double(n: int) -> int:
    await asyncio.sleep(0)
    return 2 * n


def test_a_routine_gets_what_came_of_each_step(run_it):
    done: Future[str] = Future()
    done.set_result("theirs")

    def routine():
        acted = yield Call(lambda: "acted")
        computed = yield compute(lambda n: n + 1, n=1)
        doubled = yield compute(double, n=4)
        paused = yield Sleep(0.001)
        theirs = yield Wait(done, None)
        return [acted, computed, doubled, paused, theirs]

    assert run_it(routine()) == ["acted", 2, 8, None, "theirs"]


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), StopAsyncIteration(), SystemExit(2)])
def test_what_a_step_raises_is_raised_in_the_routine(run_it, error):
    def fail():
        raise error

    def routine():
        try:
            yield Call(fail)
        except BaseException as caught:
            return caught

    assert run_it(routine()) is error


def test_a_stop_iteration_of_a_computation_does_not_end_the_routine():
    def fail():
        raise StopIteration("mine")

    def routine():
        try:
            yield compute(fail)
        except StopIteration as caught:
            return f"caught {caught}"

    assert run(routine()) == "caught mine"


def test_what_the_routine_lets_through_reaches_the_caller(run_it):
    def routine():
        yield Call(lambda: 1)
        yield Call(lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        run_it(routine())


def test_a_routine_without_steps_returns_at_once(run_it):
    def routine():
        return 42
        yield

    assert run_it(routine()) == 42


def test_waiting_for_what_does_not_come_is_a_time_out(run_it):
    never: Future[str] = Future()

    def routine():
        try:
            yield Wait(never, 0.01)
        except TimeoutError:
            return "in vain"

    assert run_it(routine()) == "in vain"
    assert not never.cancelled(), "others may wait for it"


def test_what_is_there_already_is_not_waited_for(run_it):
    there: Future[str] = Future()
    there.set_result("there")

    def routine():
        return (yield Wait(there, 0.0))

    assert run_it(routine()) == "there"


def test_a_thread_does_not_wait_for_what_its_own_loop_has_to_do():
    never: Future[str] = Future()

    def routine():
        try:
            yield Wait(never, 60, asyncio.get_running_loop())
        except TimeoutError:
            return "not waited"

    async def on_the_loop():
        return run(routine())

    assert asyncio.run(on_the_loop()) == "not waited"


def test_a_computation_beside_a_loop_has_its_time_out(threads):
    async def slow():
        await asyncio.sleep(60)

    def routine():
        yield compute(slow, timeout_s=0.01)

    with pytest.raises(ComputeTimeoutError):
        asyncio.run(arun(routine(), threads))


def test_a_cancellation_lets_an_action_end_and_then_reaches_the_routine(threads):
    began, go_on, seen = threading.Event(), threading.Event(), []

    def act():
        began.set()
        assert go_on.wait(10)
        seen.append("acted")

    def routine():
        try:
            yield Call(act)
        except asyncio.CancelledError:
            yield Call(lambda: seen.append("undone"))
            raise

    async def scene():
        running = asyncio.create_task(arun(routine(), threads))
        while not began.is_set():
            await asyncio.sleep(0.001)
        for _ in range(3):  # impatient
            running.cancel()
            await asyncio.sleep(0.005)
        assert not running.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(scene())
    assert seen == ["acted", "undone"]


def test_an_error_of_an_action_that_ends_after_a_cancellation_is_not_left_unseen(threads, caplog):
    began, go_on = threading.Event(), threading.Event()

    def act():
        began.set()
        assert go_on.wait(10)
        raise OSError("too late")

    def routine():
        yield Call(act)

    async def scene():
        running = asyncio.create_task(arun(routine(), threads))
        while not began.is_set():
            await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.sleep(0.005)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(scene(), debug=True)
    gc.collect()
    assert "never retrieved" not in caplog.text


def test_an_action_is_done_here_when_the_threads_have_been_dismissed():
    threads = ThreadPoolExecutor(1)
    threads.shutdown()

    def routine():
        return (yield Call(threading.current_thread))

    assert asyncio.run(arun(routine(), threads)) is threading.current_thread()


def test_the_loop_goes_on_during_an_action(threads):
    go_on = threading.Event()

    def routine():
        return (yield Call(lambda: go_on.wait(10)))

    async def scene():
        running = asyncio.create_task(arun(routine(), threads))
        await asyncio.sleep(0.01)
        go_on.set()
        return await running

    assert asyncio.run(scene()) is True


def test_a_routine_whose_loop_was_closed_is_closed_too(threads):
    ended = []

    def routine():
        try:
            yield Sleep(60)
        finally:
            ended.append("closed")

    loop = asyncio.new_event_loop()
    coroutine = arun(routine(), threads)
    coroutine.send(None) if loop.is_running() else loop.run_until_complete(_one_turn(coroutine))
    loop.close()
    coroutine.close()
    assert ended == ["closed"]


async def _one_turn(coroutine) -> None:
    coroutine.send(None)
