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

START_S = 30.0
"""How long a process may take from its fork to its drain's first promise: RQ talks to Redis before."""


class WorkHorse:
    """A drain's process: watched from its fork to its end.

    Example:
        >>> horse = WorkHorse()
        >>> len(horse.life), horse.has_ended_well
        (16, False)
    """

    def __init__(self) -> None:
        """Prepare what the process is to inherit; fork it, and call `forked`."""
        self.life = new_drain_id()
        self.promise = Deadline(time.monotonic() + START_S)
        self.ended = threading.Event()
        self.pid = 0
        self._status: int | None = None
        self._born_s = time.monotonic()

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
    def has_ended_well(self) -> bool:
        """Whether it has ended, by itself and in good order."""
        return self._status == os.EX_OK and self.promise.is_fulfilled

    @property
    def lived_s(self) -> float:
        """How long ago it was forked, in seconds."""
        return time.monotonic() - self._born_s

    @property
    def wait_status(self) -> int | None:
        """How it ended, as `os.waitpid` says; None if it has not, or if nobody can say."""
        return self._status

    @property
    def cause(self) -> str:
        """How it ended, for people."""
        return "cause unknown" if self._status is None else cause_of(os.waitstatus_to_exitcode(self._status))

    def tell_to_stop(self) -> None:
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
            _, self._status = os.waitpid(self.pid, 0)
        if not self.has_ended_well:
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


def give_back_claims(runtime: Runtime, life: str) -> bool:
    """Give back all that a drain which died had claimed, so that it is computed elsewhere at once.

    Args:
        runtime: With the store of the claims.
        life: What the tokens of the drain's claims begin with.

    Returns:
        Whether Redis took it; if not, each claim lapses in its own time.
    """
    try:
        runtime.store.refreshes.lapse(life)
    except RedisError as error:
        logger.warning("what a drain had claimed lapses in its own time, Redis is away: %s", described(error))
        return False
    return True
