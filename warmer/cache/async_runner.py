"""Runs routines beside event loops: in tasks that go on when their reader is cancelled; blocking steps in threads."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from warmer.fork import ForkSafe
from warmer.refresh.effects import Routine, arun

Returned = TypeVar("Returned")

THREADS = 8
"""For the short actions of event loops' readers that block: scripts in Redis."""


class AsyncRunner(ForkSafe):
    """Runs routines beside event loops.

    Args:
        forget_lost: Called when a loop is new here, as others may have been closed in the middle of their tasks.

    Example:
        >>> from warmer.refresh.effects import Call
        >>> def routine():
        ...     doubled = yield Call(lambda: 2 * 21)
        ...     return doubled
        >>> runner = AsyncRunner()
        >>> asyncio.run(runner.run(routine()))
        42
        >>> runner.close()
    """

    def __init__(self, forget_lost: Callable[[], object] = lambda: None) -> None:
        """Start with no tasks."""
        self._forget_lost = forget_lost
        super().__init__()

    def _reset_after_fork(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "warmer-cache")
        self._tasks: dict[asyncio.AbstractEventLoop, set[asyncio.Task[Any]]] = {}

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False)

    async def run(self, routine: Routine[Returned]) -> Returned:
        """Run a routine beside the running loop, and return what it returns."""
        return await arun(routine, self._threads)

    def start(self, routine: Routine[Returned]) -> "Future[Returned | None]":
        """Run a routine in a task of its own.

        Returns:
            Brings what it returns; None if the task was cancelled.
        """
        ended: Future[Returned | None] = Future()
        loop = asyncio.get_running_loop()
        tasks = self._tasks_of(loop)
        task = loop.create_task(arun(routine, self._threads))
        tasks.add(task)  # the loop itself would let it be collected
        task.add_done_callback(tasks.discard)
        task.add_done_callback(partial(_hand_over, ended))
        return ended

    def _tasks_of(self, loop: asyncio.AbstractEventLoop) -> set[asyncio.Task[Any]]:
        """Return the tasks of a loop; at the first one, forget loops that were closed in the middle of theirs."""
        if loop not in self._tasks:
            for closed in [other for other in list(self._tasks) if other.is_closed()]:
                self._tasks.pop(closed, None)
            self._forget_lost()
        return self._tasks.setdefault(loop, set())


def _hand_over(ended: "Future[Any]", task: "asyncio.Task[Any]") -> None:
    if task.cancelled():
        ended.set_result(None)
    elif (error := task.exception()) is not None:
        ended.set_exception(error)
    else:
        ended.set_result(task.result())
