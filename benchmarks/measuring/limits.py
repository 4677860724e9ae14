"""Time limits: no benchmark waits for ever.

A wait for one thing has a limit of its own. The whole run has one too, which also ends what hangs elsewhere.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

TIMED_OUT = 3
"""Exit code of a run that a time limit has ended."""

WAIT_LIMIT_S = 30.0
CLEANUP_LIMIT_S = 15.0

Found = TypeVar("Found")


class TimeLimitError(Exception):
    """Something took longer than its limit."""


def wait_until(
    condition: Callable[[], Found], what: str, limit_s: float = WAIT_LIMIT_S, every_s: float = 0.02
) -> Found:
    """Return what the condition returns, as soon as that is true.

    Args:
        condition: Called again and again.
        what: What is waited for, for the error.
        limit_s: How long to wait at most, in seconds.
        every_s: Pause between two calls, in seconds.

    Raises:
        TimeLimitError: It did not become true in time.
    """
    deadline_s = time.monotonic() + limit_s
    while not (found := condition()):
        if time.monotonic() >= deadline_s:
            raise TimeLimitError(f"waited {limit_s:g} s for {what}")
        time.sleep(every_s)
    return found


@contextmanager
def run_limit(limit_s: float) -> Iterator[None]:
    """End the body by an error once it takes too long; end the process if even its cleanup hangs then.

    Args:
        limit_s: How long the body may take, in seconds.

    Raises:
        TimeLimitError: It took longer.
    """

    def end_body(number: int, frame: FrameType | None) -> None:
        _limit_cleanup()
        raise TimeLimitError(f"the run took longer than {limit_s:g} s")

    signal.signal(signal.SIGALRM, end_body)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    except BaseException:
        _limit_cleanup()
        raise
    signal.setitimer(signal.ITIMER_REAL, 0)


def _limit_cleanup() -> None:
    """From now on the process ends by force after a while: threads that hang would keep it alive."""
    signal.signal(signal.SIGALRM, _end_process)
    signal.setitimer(signal.ITIMER_REAL, CLEANUP_LIMIT_S)


def _end_process(number: int, frame: FrameType | None) -> None:
    print(f"timed out: cleaning up took longer than {CLEANUP_LIMIT_S:g} s", file=sys.stderr, flush=True)
    os._exit(TIMED_OUT)
