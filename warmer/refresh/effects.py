"""Routines that are written once and run both ways: by a thread that may block, or beside an event loop.

A routine is a generator: it yields what is to be done, and goes on with what came of it. At a GeneratorExit there is
nobody left to do anything: what it would undo then has to lapse by itself.
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
"""So a wait for another process is longer than its computation by about a tenth."""


class Call(NamedTuple):
    """A short action that blocks, such as a script in Redis.

    Args:
        action: What to do.
    """

    action: Callable[[], Any]


class Compute(NamedTuple):
    """A user's function, which may take its time.

    Args:
        function: Sync or async.
        arguments: Its keyword arguments.
        timeout_s: Seconds after which it counts as failed; None waits for ever.
        leaves_thread: Whether a sync function is run in a thread of its own, so that it can be left behind at its
            time-out.
    """

    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    timeout_s: float | None
    leaves_thread: bool


class Wait(NamedTuple):
    """What somebody else will have done; a TimeoutError when that takes too long.

    Args:
        future: Where its result will be.
        timeout_s: Seconds to wait at most; None waits for ever.
        loop: The event loop that it needs, if any: the thread of that loop does not wait for it in vain.
    """

    future: "Future[Any]"
    timeout_s: float | None
    loop: asyncio.AbstractEventLoop | None = None


class Sleep(NamedTuple):
    """Nothing, for a moment.

    Args:
        seconds: How long.
    """

    seconds: float


Step: TypeAlias = Call | Compute | Wait | Sleep
Routine: TypeAlias = Generator[Step, Any, Returned]


def pauses() -> Iterator[float]:
    """Yield how long to pause each time before asking again for what another process does, without end.

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
        BaseException: whatever the routine lets through.

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
    that has begun is finished first, so that the routine knows what it has to undo.

    Args:
        steps: The routine.
        threads: Where actions that block are run.

    Raises:
        BaseException: whatever the routine lets through.

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
            except GeneratorExit:  # the loop is gone, and nothing can be awaited any more
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
        except RuntimeError:  # the threads have been dismissed meanwhile: what has begun is brought to its end
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
        action.exception()  # looked at, so that nobody complains of it
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
