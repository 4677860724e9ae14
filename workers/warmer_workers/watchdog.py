"""Watchdog: kills a drain's process in which a task never releases the interpreter.

No thread of that process can run then, so its parent checks it. The drain keeps extending a deadline in shared memory;
both processes use the same monotonic clock.
"""

import logging
import math
import mmap
import threading
import time
from typing import Protocol

logger = logging.getLogger("warmer.worker")

CHECK_INTERVAL_S = 0.25

MIN_PAUSE_S = 1.0
"""A check that is this late means that the machine or container was paused, and the drain with it."""

AFTER_PAUSE_S = 4.0
"""Time for a drain to extend its deadline after such a pause."""

NUMBER_BYTES = 8
DEADLINE, FINISHED = 0, 1


class Deadline:
    """A deadline in shared memory; created before the fork, extended by the child, and checked by the parent.

    Args:
        deadline_s: The first deadline, in seconds on `time.monotonic`.

    Example:
        >>> deadline = Deadline(30.0)
        >>> deadline.extend(34.5)
        >>> deadline.deadline_s
        34.5
    """

    def __init__(self, deadline_s: float) -> None:
        # Two numbers; each is written and read in one piece.
        self._shared = memoryview(mmap.mmap(-1, 2 * NUMBER_BYTES)).cast("d")
        self._shared[DEADLINE] = deadline_s

    @property
    def deadline_s(self) -> float:
        """The present deadline, on `time.monotonic`."""
        return self._shared[DEADLINE]

    def extend(self, deadline_s: float) -> None:
        """Set the deadline of the next call, in seconds on `time.monotonic`."""
        self._shared[DEADLINE] = deadline_s

    @property
    def is_finished(self) -> bool:
        """Whether the job has finished; the exit code is not enough, because a task may have ended the process."""
        return self._shared[FINISHED] > 0

    def finish(self) -> None:
        """Report that the job has finished."""
        self._shared[FINISHED] = 1.0


class Watched(Protocol):
    """A process with a deadline."""

    pid: int
    deadline: Deadline
    ended: threading.Event

    def kill(self) -> None:
        """Kill the process."""


def is_missed(deadline_s: float, awake_since_s: float, now_s: float) -> bool:
    """Return whether a deadline is missed, and not only because the machine was paused.

    Args:
        deadline_s: The deadline, in seconds on a monotonic clock.
        awake_since_s: The end of the last pause, on the same clock.
        now_s: The present time, on the same clock.

    Example:
        >>> is_missed(10.0, -math.inf, 10.1), is_missed(10.0, 9.0, 12.9), is_missed(10.0, 9.0, 13.1)
        (True, False, True)
    """
    return now_s > max(deadline_s, awake_since_s + AFTER_PAUSE_S)


def watch(process: Watched) -> None:
    """Watch a drain's process until it ends, or misses its deadline and is killed."""
    checked_s, awake_since_s = time.monotonic(), -math.inf
    while not process.ended.wait(CHECK_INTERVAL_S):
        now_s = time.monotonic()
        awake_since_s = now_s if now_s - checked_s > MIN_PAUSE_S else awake_since_s
        checked_s = now_s
        deadline_s = process.deadline.deadline_s
        if is_missed(deadline_s, awake_since_s, now_s):
            logger.error(
                "the process of a drain (pid %d) is %.1f s late: a task holds the interpreter past its time-out and "
                "does not release it. The process is killed. Give such a task isolation='process', or let it compute "
                "less at a time",
                process.pid,
                now_s - deadline_s,
            )
            process.kill()
            return
