"""Event loop of a drain: computes async functions concurrently, in one thread."""

import asyncio
import threading
from collections.abc import Iterable

from warmer.refresh.read_counter import uncounted_reads
from warmer_workers.computation import Computation, Report


class EventLoopExecutor:
    """Runs coroutines concurrently; a loop that one of them blocks is abandoned.

    Args:
        report: Receives the outcome of each computation.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: dict[Computation, asyncio.Task[None]] = {}

    def submit(self, computations: Iterable[Computation]) -> None:
        """Start computations on the loop; the first call starts its thread."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=_run, args=(self._loop,), name="warmer-drain-loop", daemon=True).start()
        with uncounted_reads():  # reads by computations of warming are not demand; tasks inherit this context
            self._loop.call_soon_threadsafe(self._start_all, list(computations))

    @property
    def current(self) -> Computation | None:
        """The computation that runs on the loop now; until it awaits something, it blocks all others."""
        task = None if self._loop is None else asyncio.current_task(self._loop)
        return next((one for one, its_task in list(self._tasks.items()) if its_task is task), None)

    def abandon(self, computation: Computation) -> None:
        """Abandon a loop that a cancelled computation still blocks; the next computation gets a new loop."""
        self.shutdown()

    def shutdown(self) -> None:
        """Cancel all computations, and let the loop end."""
        loop, self._loop = self._loop, None
        tasks, self._tasks = self._tasks, {}
        if loop is not None:
            loop.call_soon_threadsafe(_stop, loop, list(tasks.values()))

    def _start_all(self, computations: list[Computation]) -> None:
        if asyncio.get_running_loop() is not self._loop:  # the loop was abandoned before this call
            return
        for computation in computations:
            self._tasks[computation] = asyncio.get_running_loop().create_task(self._compute(computation))

    async def _compute(self, computation: Computation) -> None:
        try:
            self._report(computation, await computation.arun())
        finally:
            self._tasks.pop(computation, None)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()


def _stop(loop: asyncio.AbstractEventLoop, tasks: list["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    loop.call_soon(loop.stop)
