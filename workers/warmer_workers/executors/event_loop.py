"""An event loop in a thread of its own, for what async functions compute."""

import asyncio
import threading
from collections.abc import Iterable

from warmer.refresh.read_counter import uncounted_reads
from warmer_workers.computation import Computation, Tell


class EventLoopExecutor:
    """Runs coroutines side by side; a loop that is blocked by one of them is left behind.

    Args:
        tell: Told what came of each computation.
    """

    def __init__(self, tell: Tell) -> None:
        """Start without a thread."""
        self._tell = tell
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: dict[Computation, asyncio.Task[None]] = {}

    def do(self, computations: Iterable[Computation]) -> None:
        """Have computations carried out."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=_run, args=(self._loop,), name="warmer-drain-loop", daemon=True).start()
        with uncounted_reads():  # what computations of warming read is no demand; tasks take this with them
            self._loop.call_soon_threadsafe(self._start_all, list(computations))

    @property
    def at_work(self) -> Computation | None:
        """What runs at this very moment: while it does not await anything, all others wait for it."""
        task = None if self._loop is None else asyncio.current_task(self._loop)
        return next((one for one, its_task in list(self._tasks.items()) if its_task is task), None)

    def leave_behind(self, computation: Computation) -> None:
        """Give up a loop that does not even end a computation that is cancelled: what comes next gets a new one."""
        self.dismiss()

    def dismiss(self) -> None:
        """Let the loop end; what runs on it is cancelled."""
        loop, self._loop = self._loop, None
        tasks, self._tasks = self._tasks, {}
        if loop is not None:
            loop.call_soon_threadsafe(_stop, loop, list(tasks.values()))

    def _start_all(self, computations: list[Computation]) -> None:
        if asyncio.get_running_loop() is not self._loop:  # it was left behind before it came to this
            return
        for computation in computations:
            self._tasks[computation] = asyncio.get_running_loop().create_task(self._carry_out(computation))

    async def _carry_out(self, computation: Computation) -> None:
        try:
            self._tell(computation, await computation.arun())
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
