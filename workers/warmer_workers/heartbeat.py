"""Heartbeat of a drain: extends the watchdog's deadline four times a second while the drain's loop runs."""

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from warmer_workers.computation import Computation

BEAT_INTERVAL_S = 0.25

MARGIN_S = 4.0
"""Time from the time-out of a computation until the process is killed if it does not react."""

MAX_LOOP_PAUSE_S = 60.0
"""A drain whose loop has not run for this long, perhaps because it waits for Redis, counts as dead."""


class Heartbeat:
    """A thread that extends a drain's deadline while the thread can run and the drain's loop runs.

    A computation that never releases the interpreter stops this thread, too. Then the deadline passes, and the watchdog
    kills the process.

    Args:
        extend_deadline: Sets the deadline of its next call, in seconds on the monotonic clock.
        running: The running computations; the drain changes it.
    """

    def __init__(self, extend_deadline: Callable[[float], None], running: Collection[Computation]) -> None:
        self._extend_deadline = extend_deadline
        self._running = running
        self._loop_ran_s = time.monotonic()

    def loop_ran(self, now_s: float) -> None:
        """Report that the drain's loop runs at `now_s`, in seconds on the monotonic clock."""
        self._loop_ran_s = now_s

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Run the heartbeat's thread during the block."""
        stopped = threading.Event()
        threading.Thread(target=self._beat, args=(stopped,), name="warmer-heartbeat", daemon=True).start()
        try:
            yield
        finally:
            stopped.set()

    def _beat(self, stopped: threading.Event) -> None:
        while True:
            now_s = time.monotonic()
            if now_s - self._loop_ran_s < MAX_LOOP_PAUSE_S:
                overdue_s = [one.overdue_s for one in list(self._running) if one.started_s is not None]
                self._extend_deadline(max(now_s, min(overdue_s, default=now_s)) + MARGIN_S)
            if stopped.wait(BEAT_INTERVAL_S):
                return
