"""RQ's workers, fitted to drains: one queue, JSON, safe jobs, and a stop that reaches the drain."""

import contextlib
import logging
import os
import signal
import threading
import time
from types import FrameType
from typing import Any

from redis import Redis
from rq import SimpleWorker, Worker
from rq.exceptions import StopRequested
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty

from warmer.client import Warmer
from warmer.queue import DrainQueue
from warmer.safejob import SafeJob
from warmer_workers.jobs import Post, serving

logger = logging.getLogger("warmer.worker")

LONGEST_PAUSE_S = 1.0
"""RQ doubles its pause between two attempts to reach Redis up to a minute: long after Redis is back."""

LOOK_FOR_PARENT_EVERY_S = 0.5


def _options(warmer: Warmer, connection: "Redis", name: str) -> dict[str, Any]:
    return {
        # One queue: with two, RQ's dequeue can lose jobs.
        "queues": [DrainQueue(connection, warmer.settings).rq],
        "name": name,
        "connection": connection,
        "job_class": SafeJob,
        "serializer": JSONSerializer,
        "log_job_description": False,
    }


def _end_with(parent: int) -> None:
    """End this process once its parent has: nobody would know of it, and its claims lapse."""
    while os.getppid() == parent:
        time.sleep(LOOK_FOR_PARENT_EVERY_S)
    os._exit(1)


def _cause(wait_status: int) -> str:
    code = os.waitstatus_to_exitcode(wait_status)
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


class WarmWorker(Worker):
    """A worker process; each drain runs in a child of its own, so that no task can take the worker down.

    Args:
        warmer: With the tasks that this process knows.
        connection: RQ's own client.
        name: The worker's name.
        asked_to_stop: Set when a signal asks this process to stop.
    """

    log_result_lifespan = False
    max_connection_wait_time = LONGEST_PAUSE_S

    def __init__(self, warmer: Warmer, connection: "Redis", name: str, asked_to_stop: threading.Event) -> None:
        """Prepare."""
        super().__init__(**_options(warmer, connection, name), worker_ttl=60, job_monitoring_interval=5)
        self._warmer = warmer
        self._asked_to_stop = asked_to_stop
        self._stop_drain = threading.Event()

    def _install_signal_handlers(self) -> None:
        """From here on signals are RQ's; one that came a moment before is not forgotten."""
        super()._install_signal_handlers()  # type: ignore[no-untyped-call]
        if self._asked_to_stop.is_set():
            raise StopRequested

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Stop after the present drain, which is told to claim no more."""
        self._asked_to_stop.set()
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    def handle_warm_shutdown_request(self) -> None:
        """Tell the drain, too."""
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]
        if self.horse_pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.horse_pid, signal.SIGTERM)

    def setup_work_horse_signals(self) -> None:
        """In the child: SIGTERM ends the drain in good order; Ctrl-C is the parent's business, and its end is ours."""
        threading.Thread(target=_end_with, args=(os.getppid(),), name="warmer-lifeline", daemon=True).start()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda signum, frame: self._stop_drain.set())

    def perform_job(self, *arguments: Any) -> bool:
        """Run a job at this worker's post."""
        with serving(Post(self._warmer, self.name, self._stop_drain)):
            return bool(super().perform_job(*arguments))

    def handle_work_horse_killed(self, job: Any, retpid: int, ret_val: int, rusage: Any) -> None:
        """Say that a drain's process died: a task crashed it, or memory ran out."""
        logger.error("a drain's process died (%s); what it had claimed lapses, and is computed again", _cause(ret_val))
        super().handle_work_horse_killed(job, retpid, ret_val, rusage)  # type: ignore[no-untyped-call]


class ThreadWorker(SimpleWorker):
    """A worker that runs in a thread of the application; for single-process applications.

    Args:
        warmer: With the tasks that this process knows.
        connection: RQ's own client.
        name: The worker's name.
        stop: Ends the worker when set.
    """

    log_result_lifespan = False
    max_connection_wait_time = LONGEST_PAUSE_S
    # Signals belong to the main thread.
    death_penalty_class = TimerDeathPenalty

    def __init__(self, warmer: Warmer, connection: "Redis", name: str, stop: threading.Event) -> None:
        """Prepare."""
        # RQ waits for jobs in turns of worker_ttl - 15 seconds, and looks for the stop between two turns.
        super().__init__(**_options(warmer, connection, name), worker_ttl=16)
        self._warmer = warmer
        self._stop = stop

    def _install_signal_handlers(self) -> None:
        pass

    def subscribe(self) -> None:
        """Obey no commands from Redis: RQ's "shutdown" would interrupt the whole application."""

    def unsubscribe(self) -> None:
        """There is nothing to unsubscribe from."""

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Show life, or end if asked to."""
        if self._stop.is_set() and pipeline is None:
            raise StopRequested
        super().heartbeat(timeout, pipeline)

    def perform_job(self, *arguments: Any) -> bool:
        """Run a job at this worker's post."""
        with serving(Post(self._warmer, self.name, self._stop)):
            return bool(super().perform_job(*arguments))
