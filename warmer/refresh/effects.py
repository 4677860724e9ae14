"""Effects: routines written once as generators, and run by a thread that may block or beside an event loop.

A routine is a generator: it yields a step, and goes on with the outcome of that step; psycopg 3 works like this, too. A
GeneratorExit means that its loop is closed and no step can be taken any more: a lease that it holds then has to lapse.
"""

import asyncio
import inspect
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Executor, Future
from typing import Any, NamedTuple, TypeAlias, TypeVar

from warmer.refresh.compute import acall, ended_itself, finished, in_own_thread
from warmer.tasks.functions import is_async

Returned = TypeVar("Returned")

FIRST_PAUSE_S, MAX_PAUSE_S = 0.005, 0.1
PAUSE_GROWTH = 1.1
"""A wait for another process lasts about a tenth longer than its computation."""


class Call(NamedTuple):
    """A short action that blocks, such as a script in Redis.

    Args:
        action: The action.
    """

    action: Callable[[], Any]


class Compute(NamedTuple):
    """A user's function, which may take its time.

    Args:
        function: Sync or async.
        arguments: Its keyword arguments.
        timeout_s: Seconds after which it counts as failed; None waits for ever.
        leaves_thread: Whether a sync function is run in a thread of its own, and abandoned at its time-out.
    """

    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    timeout_s: float | None
    leaves_thread: bool


class Wait(NamedTuple):
    """A wait for the result of a future; a TimeoutError if it takes too long.

    Args:
        future: The future.
        timeout_s: Seconds to wait at most; None waits for ever.
        loop: The event loop that has to run for it, if any: the thread of that loop does not wait, as that would be a
            deadlock.
    """

    future: "Future[Any]"
    timeout_s: float | None
    loop: asyncio.AbstractEventLoop | None = None


class Sleep(NamedTuple):
    """A pause.

    Args:
        seconds: How long.
    """

    seconds: float


Step: TypeAlias = Call | Compute | Wait | Sleep
Routine: TypeAlias = Generator[Step, Any, Returned]


def pauses() -> Iterator[float]:
    """Yield the pauses of a poll, in seconds, without end: short at first, then longer.

    Example:
        >>> next(pauses())
        0.005
    """
    pause_s = FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(PAUSE_GROWTH * pause_s, MAX_PAUSE_S)


def run(steps: Routine[Returned]) -> Returned:
    """Run a routine in this thread, and return what it returns.

    Raises:
        BaseException: what the routine raises.

    Example:
        >>> def routine():
        ...     doubled = yield Call(lambda: 2 * 21)
        ...     return doubled
        >>> run(routine())
        42
    """
    try:
        step = next(steps)
        while True:
            try:
                outcome = _perform(step)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def _perform(step: Step) -> Any:
    if isinstance(step, Call):
        return step.action()
    if isinstance(step, Compute):
        return call(step.function, step.arguments, step.timeout_s, leaves_thread=step.leaves_thread)
    if isinstance(step, Wait):
        if step.loop is not None and step.loop is running_loop():
            raise TimeoutError
        return step.future.result(step.timeout_s)
    return time.sleep(step.seconds)


def call(
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    timeout_s: float | None = None,
    *,
    leaves_thread: bool = False,
) -> Any:
    """Return what a function computes; a coroutine is run to its end.

    Args:
        function: A sync or async function.
        arguments: Its keyword arguments.
        timeout_s: Seconds after which a coroutine is cancelled.
        leaves_thread: Whether a sync function is subject to the time-out, too: it then runs in a thread of its own,
            which is left behind.

    Raises:
        ComputeTimeoutError: the computation took longer.
        Exception: whatever the function raises.

    Example:
        >>> call(lambda: 42, {})
        42
    """
    if leaves_thread and timeout_s is not None and not is_async(function):
        return in_own_thread(lambda: call(function, arguments, timeout_s), timeout_s)
    try:
        value = function(**arguments)
        return finished(value, timeout_s) if inspect.iscoroutine(value) else value
    except (asyncio.CancelledError, GeneratorExit) as error:  # nobody outside can have stopped it
        raise ended_itself(error) from error


async def arun(steps: Routine[Returned], threads: Executor) -> Returned:
    """Run a routine beside the running event loop, which is never blocked; return what it returns.

    A cancellation reaches the routine only between two steps and during computations, waits and pauses: an action
    that has begun is finished first, so that the routine knows what to undo.

    Args:
        steps: The routine.
        threads: Where actions that block are run.

    Raises:
        BaseException: what the routine raises.

    Example:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> def routine():
        ...     doubled = yield Call(lambda: 2 * 21)
        ...     return doubled
        >>> with ThreadPoolExecutor() as threads:
        ...     asyncio.run(arun(routine(), threads))
        42
    """
    try:
        step = next(steps)
        while True:
            try:
                outcome = await _aperform(step, threads)
            except GeneratorExit:  # the loop is closed, and nothing can be awaited any more
                steps.close()
                raise
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def _aperform(step: Step, threads: Executor) -> Any:
    if isinstance(step, Call):
        try:
            action = asyncio.get_running_loop().run_in_executor(threads, step.action)
        except RuntimeError:  # the threads have been shut down meanwhile: the action is done here
            return step.action()
        return await _to_its_end(action)
    if isinstance(step, Compute):
        return await acall(step.function, step.arguments, step.timeout_s)
    if isinstance(step, Wait):
        return await _awaited(step)
    return await asyncio.sleep(step.seconds)


async def _awaited(step: Wait) -> Any:
    if step.future.done():
        return step.future.result()
    async with asyncio.timeout(step.timeout_s):
        return await asyncio.shield(asyncio.wrap_future(step.future))  # others may wait for it, too


async def _to_its_end(action: "asyncio.Future[Any]") -> Any:
    try:
        return await asyncio.shield(action)
    except asyncio.CancelledError:
        while not action.done():
            try:
                await asyncio.wait([action])
            except asyncio.CancelledError:
                continue
        action.exception()  # retrieved, so that asyncio does not log it
        raise


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, if there is one.

    Example:
        >>> running_loop() is None
        True
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
