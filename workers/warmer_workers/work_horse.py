"""Parent side of a drain's process, which RQ calls the work horse: watches it, stops it, and gives back its claims."""

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
"""Time from the fork until the drain must extend its deadline; RQ sends commands to Redis before."""


class WorkHorse:
    """A drain's process, watched from its fork to its end.

    Attributes:
        drain_id: The prefix of the tokens of its claims.
        deadline: The process extends it, and the watchdog checks it.
        ended: Set when the process has ended.
        pid: Its process id; 0 before the fork.
    """

    def __init__(self) -> None:
        self.drain_id = new_drain_id()
        self.deadline = Deadline(time.monotonic() + MAX_START_S)
        self.ended = threading.Event()
        self.pid = 0
        self._wait_status: int | None = None
        self._forked_s = time.monotonic()

    def forked(self, pid: int) -> None:
        """Watch the process with this id, a child that was just forked."""
        self.pid = pid
        # The child does this too, but it may have to be killed with its children before it has.
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        for duty, name in ((self._reap, "warmer-reaper"), (self._watch, "warmer-watchdog")):
            threading.Thread(target=duty, name=name, daemon=True).start()

    @property
    def is_clean_exit(self) -> bool:
        """Whether the process has ended by itself, with its job finished."""
        return self._wait_status == os.EX_OK and self.deadline.is_finished

    @property
    def age_s(self) -> float:
        """Time since the fork, in seconds."""
        return time.monotonic() - self._forked_s

    @property
    def wait_status(self) -> int | None:
        """The wait status, as `os.waitpid` returns it; None if the process has not ended, or if it is unknown."""
        return self._wait_status

    @property
    def cause(self) -> str:
        """The cause of its end, for messages."""
        return "cause unknown" if self._wait_status is None else cause_of(os.waitstatus_to_exitcode(self._wait_status))

    def request_stop(self) -> None:
        """Stop its drain: it claims no more, and finishes or gives back its claims."""
        if self.pid and not self.ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Kill the process, and all processes that it has started."""
        if self.pid and not self.ended.is_set():
            self._kill_group()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS raises the latter for a group of zombies
            os.killpg(self.pid, signal.SIGKILL)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            _, self._wait_status = os.waitpid(self.pid, 0)
        if not self.is_clean_exit:
            self._kill_group()  # the processes that it started are useless now
        self.ended.set()

    def _watch(self) -> None:
        watch(self)


def cause_of(exit_code: int) -> str:
    """Return the cause of a process's end, for messages.

    Args:
        exit_code: As in `subprocess`: negative for a signal.

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
    """Give back the claims of a dead drain, so that other workers compute their targets at once.

    Args:
        runtime: The worker's runtime.
        drain_id: The id of the drain.

    Returns:
        Whether Redis answered; if not, each claim expires at its time.
    """
    try:
        runtime.store.refreshes.lapse(drain_id)
    except RedisError as error:
        logger.warning("Redis is away; the claims of a dead drain expire at their time: %s", described(error))
        return False
    return True
