"""The process of one drain, as its parent sees it. RQ calls it the work horse."""

import contextlib
import logging
import os
import signal
import threading
import time

from redis.exceptions import RedisError

from warmer.errors import described
from warmer.runtime import Runtime
from warmer_workers.job_context import new_drain_id
from warmer_workers.watchdog import Deadline, watch

logger = logging.getLogger("warmer.worker")

MAX_START_S = 30.0
"""How long a process may take from its fork until its drain first extends its deadline: RQ talks to Redis before."""


class WorkHorse:
    """A drain's process, watched from its fork to its end.

    Attributes:
        drain_id: The tokens of its claims begin with it.
        deadline: Extended by the process, and checked by this one.
        ended: Set when the process has ended.
        pid: Its process id, once it is forked.

    Example:
        >>> horse = WorkHorse()
        >>> len(horse.drain_id), horse.is_clean_exit
        (16, False)
    """

    def __init__(self) -> None:
        """Prepare what the process is to inherit; fork it, and call `forked`."""
        self.drain_id = new_drain_id()
        self.deadline = Deadline(time.monotonic() + MAX_START_S)
        self.ended = threading.Event()
        self.pid = 0
        self._wait_status: int | None = None
        self._forked_s = time.monotonic()

    def forked(self, pid: int) -> None:
        """Watch the process.

        Args:
            pid: Its id; it is a child of this process.
        """
        self.pid = pid
        # It does so itself, but may not have come to that when it has to be killed with all that it started.
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        for duty, name in ((self._reap, "warmer-reaper"), (self._watch, "warmer-watchdog")):
            threading.Thread(target=duty, name=name, daemon=True).start()

    @property
    def is_clean_exit(self) -> bool:
        """Whether it has ended by itself, with its job finished."""
        return self._wait_status == os.EX_OK and self.deadline.is_finished

    @property
    def age_s(self) -> float:
        """How long ago it was forked, in seconds."""
        return time.monotonic() - self._forked_s

    @property
    def wait_status(self) -> int | None:
        """How it ended, as `os.waitpid` returns it; None if it has not, or if that is unknown."""
        return self._wait_status

    @property
    def cause(self) -> str:
        """How it ended, for people."""
        return "cause unknown" if self._wait_status is None else cause_of(os.waitstatus_to_exitcode(self._wait_status))

    def request_stop(self) -> None:
        """Have its drain claim no more, and finish or give back what it has claimed."""
        if self.pid and not self.ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, with all processes that it has started."""
        if self.pid and not self.ended.is_set():
            self._kill_group()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
            os.killpg(self.pid, signal.SIGKILL)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            _, self._wait_status = os.waitpid(self.pid, 0)
        if not self.is_clean_exit:
            self._kill_group()  # what it had started computes for nobody
        self.ended.set()

    def _watch(self) -> None:
        watch(self)


def cause_of(exit_code: int) -> str:
    """Return how a process ended, for people.

    Args:
        exit_code: As `subprocess` has it: negative for a signal.

    Example:
        >>> cause_of(-9), cause_of(3)
        ('SIGKILL', 'exit code 3')
    """
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return signal.Signals(-exit_code).name
    except ValueError:  # a real-time signal has no name
        return f"signal {-exit_code}"


def give_back_claims(runtime: Runtime, drain_id: str) -> bool:
    """Give back all that a dead drain had claimed, so that it is computed elsewhere at once.

    Args:
        runtime: With the store of the claims.
        drain_id: Of the drain.

    Returns:
        Whether Redis took it; if not, each claim lapses in its own time.
    """
    try:
        runtime.store.refreshes.lapse(drain_id)
    except RedisError as error:
        logger.warning("the claims of a dead drain lapse in their own time, Redis is away: %s", described(error))
        return False
    return True
