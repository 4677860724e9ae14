"""Calling compute functions of every kind, from threads and from coroutines."""

import asyncio
import functools
import threading
import time
from contextvars import ContextVar

import pytest

from warmer.errors import ComputationFailedError, ComputeTimeoutError
from warmer.refresh.compute import acall
from warmer.refresh.effects import call
from warmer.tasks.functions import is_async

request: ContextVar[str] = ContextVar("request", default="none")


def plain(n: int) -> int:
    return n + 1


async def coroutine(n: int) -> int:
    await asyncio.sleep(0)
    return n + 1


def returns_coroutine(n: int):
    return coroutine(n)


class Callable:
    async def __call__(self, n: int) -> int:
        return n + 1


kinds = pytest.mark.parametrize(
    "function",
    [plain, coroutine, returns_coroutine, Callable(), functools.partial(coroutine), functools.partial(plain)],
    ids=["plain", "coroutine", "returns a coroutine", "callable", "partial of a coroutine", "partial"],
)


@kinds
@pytest.mark.parametrize("leaves_thread", [False, True])
@pytest.mark.parametrize("timeout_s", [None, 10])
def test_any_function_can_be_called(function, timeout_s, leaves_thread):
    assert call(function, {"n": 1}, timeout_s, leaves_thread=leaves_thread) == 2


@kinds
@pytest.mark.parametrize("timeout_s", [None, 10])
def test_any_function_can_be_awaited(function, timeout_s):
    assert asyncio.run(acall(function, {"n": 1}, timeout_s)) == 2


@kinds
def test_any_function_can_be_called_where_a_loop_runs(function):
    async def scene():
        return call(function, {"n": 1})

    assert asyncio.run(scene()) == 2


def test_a_sync_function_is_called_in_the_caller_s_thread():
    assert call(threading.current_thread, {}) is threading.current_thread()


def test_with_a_time_out_of_its_own_it_can_be_left_in_another_thread():
    assert call(threading.current_thread, {}, 10, leaves_thread=True) is not threading.current_thread()
    assert call(threading.current_thread, {}, 10) is threading.current_thread()
    assert call(threading.current_thread, {}, None, leaves_thread=True) is threading.current_thread()


def test_a_sync_function_beside_a_loop_has_a_thread_of_its_own():
    assert asyncio.run(acall(threading.current_thread, {})) is not threading.current_thread()


def test_every_thread_has_the_caller_s_context():
    token = request.set("of a user")
    try:
        assert call(request.get, {}, 10, leaves_thread=True) == "of a user"
        assert asyncio.run(acall(request.get, {})) == "of a user"
    finally:
        request.reset(token)


def test_a_sync_function_that_takes_too_long_is_left_behind():
    go_on, ended = threading.Event(), threading.Event()

    def slow():
        go_on.wait(10)
        ended.set()

    began_s = time.monotonic()
    with pytest.raises(ComputeTimeoutError, match=r"took longer than its timeout_s of 0\.05 s"):
        call(slow, {}, 0.05, leaves_thread=True)
    with pytest.raises(ComputeTimeoutError):
        asyncio.run(acall(slow, {}, 0.05))
    assert time.monotonic() - began_s < 5
    assert not ended.is_set()
    go_on.set()
    assert ended.wait(10)


@pytest.mark.parametrize("how", ["call", "acall", "call on a loop"])
def test_a_coroutine_that_takes_too_long_is_cancelled(how):
    cancelled = []

    async def slow():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def on_a_loop():
        return call(slow, {}, 0.05)

    with pytest.raises(ComputeTimeoutError):
        {
            "call": lambda: call(slow, {}, 0.05),
            "acall": lambda: asyncio.run(acall(slow, {}, 0.05)),
            "call on a loop": lambda: asyncio.run(on_a_loop()),
        }[how]()
    assert cancelled == [True]


def test_a_function_s_own_time_out_is_its_own():
    async def fail():
        raise TimeoutError("of the database")

    def fail_sync():
        raise TimeoutError("of the database")

    for action in (
        lambda: call(fail, {}, 10),
        lambda: call(fail_sync, {}, 10, leaves_thread=True),
        lambda: asyncio.run(acall(fail, {}, 10)),
        lambda: asyncio.run(acall(fail_sync, {}, 10)),
    ):
        with pytest.raises(TimeoutError, match="of the database"):
            action()


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit()])
def test_a_computation_that_ends_itself_has_failed(error):
    async def fail():
        raise error

    def fail_sync():
        raise error

    for action in (
        lambda: call(fail, {}),
        lambda: call(fail_sync, {}),
        lambda: call(fail_sync, {}, 10, leaves_thread=True),
        lambda: asyncio.run(acall(fail, {})),
        lambda: asyncio.run(acall(fail_sync, {})),
    ):
        with pytest.raises(ComputationFailedError, match=type(error).__name__):
            action()


def test_a_cancellation_from_outside_stays_one():
    async def scene():
        running = asyncio.create_task(acall(lambda: threading.Event().wait(0.2), {}))
        await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(scene())


def test_what_ends_after_its_loop_is_told_to_nobody():
    began, go_on = threading.Event(), threading.Event()

    def slow():
        began.set()
        go_on.wait(10)

    async def scene():
        running = asyncio.create_task(acall(slow, {}))
        while not began.is_set():
            await asyncio.sleep(0.001)
        running.cancel()

    asyncio.run(scene())
    go_on.set()
    for thread in threading.enumerate():
        if thread.name == "warmer-compute":
            thread.join(10)
            assert not thread.is_alive()


def test_is_async_looks_through_wrappers():
    @functools.wraps(coroutine)
    def wrapper(n: int):
        return coroutine(n)

    assert is_async(coroutine)
    assert is_async(wrapper)
    assert is_async(functools.partial(coroutine, n=1))
    assert not is_async(plain)
