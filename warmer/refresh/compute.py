"""Calls of compute functions, sync or async, within a time-out: in threads of their own, and on event loops."""

import asyncio
import contextlib
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from queue import Empty, SimpleQueue
from typing import Any

from warmer.errors import ComputationFailedError, ComputeTimeoutError
from warmer.tasks.functions import is_async


async def acall(function: Callable[..., Any], arguments: Mapping[str, Any], timeout_s: float | None = None) -> Any:
    """Return what a function computes, without blocking the running event loop: a sync one gets a thread of its own.

    Args:
        function: A sync or async function.
        arguments: Its keyword arguments.
        timeout_s: Seconds after which a coroutine is cancelled, and a sync function is abandoned.

    Raises:
        ComputeTimeoutError: the computation took longer.
        Exception: whatever the function raises.

    Example:
        >>> asyncio.run(acall(lambda: 42, {}))
        42
    """
    if is_async(function):
        value = function(**arguments)
        return await _within(value, timeout_s) if inspect.isawaitable(value) else value
    return await _within(_beside(function, arguments), timeout_s)


async def _beside(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    loop = asyncio.get_running_loop()
    finished: asyncio.Future[tuple[bool, Any]] = loop.create_future()

    def tell(outcome: tuple[bool, Any]) -> None:
        if not finished.done():  # else nobody waits any more
            finished.set_result(outcome)

    def tell_from_thread(succeeded: bool, result: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(tell, (succeeded, result))

    _start_thread(lambda: function(**arguments), tell_from_thread)
    succeeded, result = await finished
    if not succeeded:
        raise result
    return await result if inspect.iscoroutine(result) else result


def ends_the_caller(error: BaseException) -> bool:
    """Return whether this is a cancellation, or Ctrl-C or an exit from a signal's handler in the main thread.

    Example:
        >>> ends_the_caller(asyncio.CancelledError()), ends_the_caller(ValueError())
        (True, False)
    """
    is_exit = isinstance(error, KeyboardInterrupt | SystemExit)
    is_cancelled = isinstance(error, asyncio.CancelledError | GeneratorExit)
    return is_cancelled or (is_exit and threading.current_thread() is threading.main_thread())


def finished(coroutine: Coroutine[Any, Any, Any], timeout_s: float | None) -> Any:
    """Run a coroutine to its end, in this thread, or in one of its own if an event loop runs here.

    Args:
        coroutine: What to run.
        timeout_s: Seconds after which it is cancelled.

    Raises:
        ComputeTimeoutError: it took longer.
        Exception: whatever it raises.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_within(coroutine, timeout_s))
    return in_own_thread(lambda: asyncio.run(_within(coroutine, timeout_s)))


async def _within(coroutine: Awaitable[Any], timeout_s: float | None) -> Any:
    task = asyncio.current_task()
    limit = asyncio.timeout(timeout_s)
    try:
        async with limit:
            return await coroutine
    except TimeoutError:
        if not limit.expired():  # the function's own
            raise
        raise _timed_out(timeout_s) from None
    except (asyncio.CancelledError, GeneratorExit) as error:
        if _is_stopped(task):
            raise
        raise ended_itself(error) from error


def _is_stopped(task: "asyncio.Task[Any] | None") -> bool:
    """Return whether a task was cancelled from outside, or is no longer run, because its loop is closed."""
    try:
        return task is None or asyncio.current_task() is not task or task.cancelling() > 0
    except RuntimeError:  # no loop is running
        return True


def in_own_thread(run: Callable[[], Any], timeout_s: float | None = None) -> Any:
    """Run in another thread and wait for it: beside an event loop of this thread, or so as to leave it behind.

    Args:
        run: What to run.
        timeout_s: Seconds after which the thread is left behind.

    Raises:
        ComputeTimeoutError: it took longer.
        Exception: whatever it raises.
    """
    outcome: SimpleQueue[tuple[bool, Any]] = SimpleQueue()
    _start_thread(run, lambda succeeded, result: outcome.put((succeeded, result)))
    try:
        succeeded, result = outcome.get(timeout=timeout_s)
    except Empty:
        raise _timed_out(timeout_s) from None
    if succeeded:
        return result
    raise result


def _start_thread(run: Callable[[], Any], tell: Callable[[bool, Any], None]) -> None:
    context = contextvars.copy_context()

    def body() -> None:
        try:
            value = context.run(run)
        except BaseException as error:
            tell(False, error)
        else:
            tell(True, value)

    threading.Thread(target=body, name="warmer-compute", daemon=True).start()


def ended_itself(error: BaseException) -> ComputationFailedError:
    """Return the error of a computation that raised what only its caller may: a cancellation, or a GeneratorExit."""
    return ComputationFailedError(f"the computation ended itself with a {type(error).__name__}")


def _timed_out(timeout_s: float | None) -> ComputeTimeoutError:
    return ComputeTimeoutError(f"took longer than its timeout_s of {timeout_s:g} s")
