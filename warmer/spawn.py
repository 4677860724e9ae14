"""The one seam for background work: how threads are started, so that tests can do without them."""

import logging
import threading
from collections.abc import Callable

from warmer.errors import described

logger = logging.getLogger("warmer")

Spawn = Callable[[str, Callable[[], None]], threading.Thread]
"""Starts a function in a daemon thread of this name, and returns the thread.

It raises `RuntimeError` if the system allows no more threads, or the interpreter is shutting down.
"""


def start_thread(name: str, run: Callable[[], None]) -> threading.Thread:
    """Start a daemon thread: the `Spawn` of everything but tests.

    Args:
        name: Of the thread.
        run: What it runs.

    Raises:
        RuntimeError: the system allows no more threads, or the interpreter is shutting down.

    Example:
        >>> start_thread("warmer-example", lambda: None).join()
    """
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


class OnDemandThread:
    """A thread that is started when there is work, and ends by itself when there is none.

    `ensure_running` and `has_ended` are called under one lock of the owner, so that the thread does not end at the
    moment at which work arrives.

    Args:
        name: Of the thread.
        run: What it runs; it calls `has_ended` before it returns.
        spawn: Starts it.

    Example:
        >>> done = threading.Event()
        >>> thread = OnDemandThread("warmer-example", done.set)
        >>> thread.ensure_running(), done.wait(10)
        (True, True)
    """

    def __init__(self, name: str, run: Callable[[], None], spawn: Spawn = start_thread) -> None:
        """Start nothing yet."""
        self._name = name
        self._run = run
        self._spawn = spawn
        self._thread: threading.Thread | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def ensure_running(self) -> bool:
        """Start the thread unless it runs.

        Returns:
            False if it cannot be started, which is logged: the system allows no more threads, or the interpreter is
            shutting down.
        """
        if self._thread is None or not self._thread.is_alive():
            try:
                self._thread = self._spawn(self._name, self._run)
            except RuntimeError as error:
                logger.warning("the thread %s cannot be started: %s", self._name, described(error))
                return False
        return True

    def has_ended(self) -> None:
        """Let the next `ensure_running` start another thread: this one is about to return."""
        self._thread = None

    def join(self, timeout_s: float) -> None:
        """Wait until the thread has ended, if it runs."""
        thread = self._thread
        if thread is not None and thread.is_alive():
            thread.join(timeout_s)
