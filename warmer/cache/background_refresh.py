"""Background refreshes (stale-while-revalidate): at most 8 per process, one per target."""

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

MAX_AT_ONCE = 8
"""In one process; a value beyond them waits for its next read."""


class BackgroundRefresh(ForkSafe):
    """Runs refreshes that no reader waits for.

    Example:
        >>> done = threading.Event()
        >>> BackgroundRefresh().submit("catalog", done.set)
        >>> done.wait(10)
        True
    """

    def _reset_after_fork(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may read, too
        self._running: dict[str, asyncio.Task[None] | None] = {}

    def submit(
        self,
        name: str,
        refresh: Callable[[], object],
        arefresh: Callable[[], Coroutine[Any, Any, object]] | None = None,
    ) -> None:
        """Run a refresh, unless one of this name runs, or too many do.

        Args:
            name: What is refreshed.
            refresh: Refreshes it in a thread.
            arefresh: Refreshes it beside the event loop, where the reader has one; None to have a thread all the same.
        """
        with self._lock:
            if len(self._running) >= MAX_AT_ONCE:
                self._forget_lost()
            if name in self._running or len(self._running) >= MAX_AT_ONCE:
                return
            self._running[name] = None
        if arefresh is not None and running_loop() is not None:
            self._start_task(name, arefresh)
        else:
            self._start_thread(name, refresh)

    def _start_thread(self, name: str, refresh: Callable[[], object]) -> None:
        def run() -> None:
            try:
                with uncounted_reads():
                    refresh()
            finally:
                self._running.pop(name, None)

        try:
            start_thread("warmer-background-refresh", run)
        except RuntimeError as error:  # no more threads, or the interpreter is ending
            logger.warning("%r is not refreshed: %s", name, error)
            self._running.pop(name, None)

    def _start_task(self, name: str, arefresh: Callable[[], Coroutine[Any, Any, object]]) -> None:
        async def run() -> None:
            with uncounted_reads():
                await arefresh()

        # What the reader has in its context, such as a transaction, is not for a background refresh.
        task = asyncio.get_running_loop().create_task(run(), context=Context())
        self._running[name] = task  # the loop itself would let it be collected
        task.add_done_callback(lambda ended: self._running.pop(name, None))

    def _forget_lost(self) -> None:
        """Make room for others in the place of tasks whose loop was closed in the middle."""
        for name, task in list(self._running.items()):
            if task is not None and task.get_loop().is_closed():
                del self._running[name]
