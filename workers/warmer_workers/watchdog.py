"""A watchdog: kills a drain's process in which no Python runs any more, because a task never releases the interpreter.

No thread of that process could notice it, so its parent does. The drain extends its deadline again and again; the
deadline stands in memory that both processes share, on a clock that both read.
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
"""A check that comes so late means that the machine, or the container, was paused, and the drain with it."""

AFTER_PAUSE_S = 4.0
"""How long a drain has, after such a pause, to extend its deadline."""

NUMBER_BYTES = 8
DEADLINE, FINISHED = 0, 1


class Deadline:
    """The moment by which a drain will have extended it again; made before the fork, and shared by parent and child.

    Args:
        deadline_s: The first one, on `time.monotonic`.

    Example:
        >>> deadline = Deadline(30.0)
        >>> deadline.extend(34.5)
        >>> deadline.deadline_s
        34.5
    """

    def __init__(self, deadline_s: float) -> None:
        """Take shared memory for two numbers; each is written and read in one piece."""
        self._shared = memoryview(mmap.mmap(-1, 2 * NUMBER_BYTES)).cast("d")
        self._shared[DEADLINE] = deadline_s

    @property
    def deadline_s(self) -> float:
        """The present deadline, on `time.monotonic`."""
        return self._shared[DEADLINE]

    def extend(self, deadline_s: float) -> None:
        """Set the next deadline.

        Args:
            deadline_s: When this will have been called again, on `time.monotonic`.
        """
        self._shared[DEADLINE] = deadline_s

    @property
    def is_finished(self) -> bool:
        """Whether the job came to its own end; an exit code cannot tell, if a task has ended the process."""
        return self._shared[FINISHED] > 0

    def finish(self) -> None:
        """Report that the job has come to its own end."""
        self._shared[FINISHED] = 1.0


class Watched(Protocol):
    """A process with a deadline."""

    pid: int
    deadline: Deadline
    ended: threading.Event

    def kill(self) -> None:
        """End it at once."""


def is_missed(deadline_s: float, awake_since_s: float, now_s: float) -> bool:
    """Return whether a deadline is missed, and not merely because the machine was paused.

    Args:
        deadline_s: The deadline.
        awake_since_s: Since when the machine has been awake without a pause.
        now_s: The present moment, on the same clock.

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
