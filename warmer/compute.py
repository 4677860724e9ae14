"""Calls a compute function, sync or async, and waits for its value."""

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from warmer.errors import ComputeTimeoutError


def call(function: Callable[..., Any], arguments: Mapping[str, Any], timeout_s: float | None = None) -> Any:
    """Return what a function computes; a coroutine is run to its end.

    Args:
        function: A sync or async function.
        arguments: Its keyword arguments.
        timeout_s: Seconds after which a coroutine is cancelled; a sync function cannot be.

    Raises:
        ComputeTimeoutError: the coroutine took longer.
        Exception: whatever the function raises.

    Example:
        >>> call(lambda: 42, {})
        42
    """
    value = function(**arguments)
    return _finished(value, timeout_s) if inspect.iscoroutine(value) else value


def _finished(coroutine: Coroutine[Any, Any, Any], timeout_s: float | None) -> Any:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_within(coroutine, timeout_s))
    return _in_own_thread(lambda: asyncio.run(_within(coroutine, timeout_s)))


async def _within(coroutine: Coroutine[Any, Any, Any], timeout_s: float | None) -> Any:
    limit = asyncio.timeout(timeout_s)
    try:
        async with limit:
            return await coroutine
    except TimeoutError:
        if not limit.expired():  # the function's own
            raise
        raise ComputeTimeoutError(f"took longer than its timeout_s of {timeout_s:g} s") from None


def _in_own_thread(run: Callable[[], Any]) -> Any:
    """Run beside an event loop that is already running in this thread; it is blocked meanwhile."""
    outcome: list[Any] = []
    context = contextvars.copy_context()

    def body() -> None:
        try:
            outcome.append((True, context.run(run)))
        except BaseException as error:
            outcome.append((False, error))

    thread = threading.Thread(target=body, name="warmer-compute", daemon=True)
    thread.start()
    thread.join()
    succeeded, result = outcome[0]
    if succeeded:
        return result
    raise result
