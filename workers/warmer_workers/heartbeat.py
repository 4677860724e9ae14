"""Shows that a drain is alive: promises, a few times a second, to do so again."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from warmer_workers.computation import Computation

BEAT_EVERY_S = 0.25
MARGIN_S = 4.0
"""How long after the time-out of a computation a process that does not even notice it is killed."""

LONGEST_TURN_S = 60.0
"""A drain whose loop does not turn for so long, in vain for Redis perhaps, is as good as dead."""


class Heartbeat:
    """A thread that promises as long as it can run, and the drain's loop turns.

    A computation that never lets go of the interpreter stops this thread, too: the promise is broken then, and whoever
    watches it ends the process.

    Args:
        promise: Takes the moment, on the monotonic clock, by which it will have been called again.
        find_running: Returns the computations that are under way.
    """

    def __init__(self, promise: Callable[[float], None], find_running: Callable[[], Iterable[Computation]]) -> None:
        """Start still."""
        self._promise = promise
        self._find_running = find_running
        self._turned_s = time.monotonic()

    def turn(self, now_s: float) -> None:
        """Take note that the drain's loop turns.

        Args:
            now_s: The present moment, on the monotonic clock.
        """
        self._turned_s = now_s

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Beat for as long as the block runs."""
        stopped = threading.Event()
        threading.Thread(target=self._beat, args=(stopped,), name="warmer-heart", daemon=True).start()
        try:
            yield
        finally:
            stopped.set()

    def _beat(self, stopped: threading.Event) -> None:
        while True:
            now_s = time.monotonic()
            if now_s - self._turned_s < LONGEST_TURN_S:
                overdue_s = [one.overdue_s for one in list(self._find_running()) if one.started_s is not None]
                self._promise(max(now_s, min(overdue_s, default=now_s)) + MARGIN_S)
            if stopped.wait(BEAT_EVERY_S):
                return
