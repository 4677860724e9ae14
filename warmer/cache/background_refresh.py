"""Where refreshes run that no reader waits for: so many at once, each target once."""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from warmer.fork import ForkSafe
from warmer.refresh.effects import running_loop
from warmer.refresh.read_counter import uncounted_reads
from warmer.spawn import start_thread

logger = logging.getLogger("warmer.cache")

MOST_AT_ONCE = 8
"""In one process; what comes beyond them waits for the next read."""


class BackgroundRefresh(ForkSafe):
    """Runs refreshes behind readers' backs.

    Example:
        >>> done = threading.Event()
        >>> BackgroundRefresh().offer("catalog", done.set)
        >>> done.wait(10)
        True
    """

    def _reset_after_fork(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may read, too
        self._running: dict[str, asyncio.Task[None] | None] = {}

    def offer(
        self,
        name: str,
        renew: Callable[[], object],
        arenew: Callable[[], Coroutine[Any, Any, object]] | None = None,
    ) -> None:
        """Run a refresh, unless one of this name runs, or too many do.

        Args:
            name: What is refreshed.
            renew: Refreshes it in a thread.
            arenew: Refreshes it beside the event loop, where the reader has one; None to have a thread all the same.
        """
        with self._lock:
            if len(self._running) >= MOST_AT_ONCE:
                self._forget_lost()
            if name in self._running or len(self._running) >= MOST_AT_ONCE:
                return
            self._running[name] = None
        if arenew is not None and running_loop() is not None:
            self._start_task(name, arenew)
        else:
            self._start_thread(name, renew)

    def _start_thread(self, name: str, renew: Callable[[], object]) -> None:
        def run() -> None:
            try:
                with uncounted_reads():
                    renew()
            finally:
                self._running.pop(name, None)

        try:
            start_thread("warmer-background-refresh", run)
        except RuntimeError as error:  # no more threads, or the interpreter is ending
            logger.warning("%r is not renewed: %s", name, error)
            self._running.pop(name, None)

    def _start_task(self, name: str, arenew: Callable[[], Coroutine[Any, Any, object]]) -> None:
        async def run() -> None:
            with uncounted_reads():
                await arenew()

        # What the reader has in its context, such as a transaction, is not for what goes on behind its back.
        task = asyncio.get_running_loop().create_task(run(), context=Context())
        self._running[name] = task  # the loop itself would let it be collected
        task.add_done_callback(lambda ended: self._running.pop(name, None))

    def _forget_lost(self) -> None:
        """Make room for others in the place of tasks whose loop was closed in the middle."""
        for name, task in list(self._running.items()):
            if task is not None and task.get_loop().is_closed():
                del self._running[name]
