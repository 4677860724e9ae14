"""Kills a drain's process that no longer runs any Python: a task holds the interpreter and does not let go.

No thread of that process could notice, so its parent does. The drain keeps promising by when it will have promised
again; what it promises stands in memory that both processes share, on a clock that both read.
"""

import logging
import math
import mmap
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from warmer_workers.work_horse import WorkHorse

logger = logging.getLogger("warmer.worker")

LOOK_EVERY_S = 0.25

ASLEEP_S = 1.0
"""A look that comes this late says that the machine, or the container, was paused: the drain had no chance either."""

FRESH_START_S = 4.0
"""How long a drain has, after such a pause, to promise again."""

NUMBER_BYTES = 8
UNTIL, FULFILLED = 0, 1


class Deadline:
    """By when a drain will have promised again; made before the fork, then known to parent and child.

    Args:
        until_s: The first promise, on `time.monotonic`.

    Example:
        >>> promise = Deadline(30.0)
        >>> promise.give(34.5)
        >>> promise.until_s
        34.5
    """

    def __init__(self, until_s: float) -> None:
        """Take shared memory for two numbers; each is written and read in one piece."""
        self._shared = memoryview(mmap.mmap(-1, 2 * NUMBER_BYTES)).cast("d")
        self._shared[UNTIL] = until_s

    @property
    def until_s(self) -> float:
        """What was promised last, on `time.monotonic`."""
        return self._shared[UNTIL]

    def give(self, until_s: float) -> None:
        """Promise to have called this again by then.

        Args:
            until_s: When, on `time.monotonic`.
        """
        self._shared[UNTIL] = until_s

    @property
    def is_fulfilled(self) -> bool:
        """Whether the job came to its own end; a task that ends the process makes it look so to RQ."""
        return self._shared[FULFILLED] > 0

    def fulfil(self) -> None:
        """Say that the job has come to its own end."""
        self._shared[FULFILLED] = 1.0


def is_broken(promised_s: float, awake_since_s: float, now_s: float) -> bool:
    """Say whether a promise is broken, and not merely because the machine slept.

    Args:
        promised_s: Until when the promise held.
        awake_since_s: Since when the machine has been awake without a pause.
        now_s: The present moment, on the same clock.

    Example:
        >>> is_broken(10.0, -math.inf, 10.1), is_broken(10.0, 9.0, 12.9), is_broken(10.0, 9.0, 13.1)
        (True, False, True)
    """
    return now_s > max(promised_s, awake_since_s + FRESH_START_S)


def watch(horse: "WorkHorse") -> None:
    """Watch a drain's process until it ends, or has to be killed.

    Args:
        horse: The process.
    """
    looked_s, awake_since_s = time.monotonic(), -math.inf
    while not horse.ended.wait(LOOK_EVERY_S):
        now_s = time.monotonic()
        awake_since_s = now_s if now_s - looked_s > ASLEEP_S else awake_since_s
        looked_s = now_s
        promised_s = horse.promise.until_s
        if is_broken(promised_s, awake_since_s, now_s):
            logger.error(
                "a drain's process (pid %d) has not answered for %.1f s after the latest moment that it had promised: "
                "a task holds the interpreter and does not let go, past its time-out. The process is killed. Give such "
                "a task isolation='process', or let it compute less at a time",
                horse.pid,
                now_s - promised_s,
            )
            horse.kill()
            return
