"""RQ's workers, adapted to drains: one queue, JSON, safe jobs, a watchdog, and a shutdown that the drain gets."""

import contextlib
import gc
import logging
import os
import signal
import threading
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq import SimpleWorker, Worker
from rq.exceptions import InvalidJobOperation, StopRequested
from rq.job import JobStatus
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty
from rq.utils import now

from warmer.engine.drain_queue import DrainQueue, SafeJob
from warmer.errors import described
from warmer.runtime import Runtime
from warmer_workers.job_context import JobContext, job_context
from warmer_workers.shutdown import Shutdown
from warmer_workers.work_horse import WorkHorse, give_back_claims
from warmer_workers.work_horse_child import guard_child, signals_blocked

logger = logging.getLogger("warmer.worker")

GC_THRESHOLDS = (50_000, 20, 100)
"""Thresholds of a drain's garbage collection: new objects, and collections of the younger generations."""

MAX_RECONNECT_DELAY_S = 1.0
"""RQ's own maximum is a minute, which is long after Redis is back."""

HEARTBEAT_INTERVAL_S = 5

MIN_DRAIN_S = 1.0
"""A drain that ended sooner had nothing to do, or Redis was away: the next tick requests another one."""


def _options(runtime: Runtime, connection: "Redis", name: str) -> dict[str, Any]:
    return {
        # One queue: with two, RQ's dequeue can lose jobs.
        "queues": [DrainQueue(connection, runtime.settings).rq],
        "name": name,
        "connection": connection,
        "job_class": SafeJob,
        "serializer": JSONSerializer,
        "log_job_description": False,
    }


class WarmWorker(Worker):
    """A worker process; each drain runs in a forked child, so that no task can crash the worker.

    Args:
        runtime: The runtime of the process, with its tasks.
        connection: RQ's own client.
        name: The worker's name.
        shutdown: Handles the signals of this process.
        is_burst: Whether to end when nothing is left to do.
    """

    log_result_lifespan = False
    max_connection_wait_time = MAX_RECONNECT_DELAY_S

    def __init__(
        self, runtime: Runtime, connection: "Redis", name: str, shutdown: Shutdown, *, is_burst: bool = False
    ) -> None:
        super().__init__(
            **_options(runtime, connection, name), worker_ttl=60, job_monitoring_interval=HEARTBEAT_INTERVAL_S
        )
        self._runtime = runtime
        self._worker_shutdown = shutdown
        self._is_burst = is_burst
        self._horse = WorkHorse()
        self._stop_drain = threading.Event()

    def _install_signal_handlers(self) -> None:
        """Leave signals to `Shutdown`, and stop if one was received before."""
        if self._worker_shutdown.is_set():
            raise StopRequested

    def execute_job(self, job: Any, queue: Any) -> None:
        """Run a job to its end; `Shutdown` stops its process."""
        with self._worker_shutdown.deferred():
            super().execute_job(job, queue)

    def fork_work_horse(self, job: Any, queue: Any) -> None:
        """Fork the job's process, and watch it."""
        self._horse = WorkHorse()
        with signals_blocked():
            super().fork_work_horse(job, queue)
        self._horse.forked(self.horse_pid)
        self._worker_shutdown.pass_on_to(self._horse)

    def setup_work_horse_signals(self) -> None:
        """In the child: stop the drain at SIGTERM, and end with the parent."""
        self._stop_drain = guard_child(self.pid or os.getppid())
        # A drain makes thousands of short-lived values, and the objects from before the fork stay: with the default
        # thresholds garbage collection takes a tenth of the time.
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)

    def perform_job(self, *arguments: Any) -> bool:
        """In the child: run a job."""
        horse = self._horse
        job = JobContext(
            self._runtime, self.name, self._stop_drain, horse.drain_id, horse.deadline.extend, self._is_burst
        )
        with job_context(job):
            has_succeeded = bool(super().perform_job(*arguments))
        horse.deadline.finish()
        return has_succeeded

    def unsubscribe(self) -> None:
        """Receive no more commands, without the second that RQ waits for its thread."""
        if self.pubsub_thread:
            self.pubsub_thread.stop()
        super().unsubscribe()  # type: ignore[no-untyped-call]

    def wait_for_horse(self) -> tuple[int, int | None, None]:
        """Wait until the job's process has ended; returns its id and its wait status, as RQ expects."""
        self._horse.ended.wait()
        return self._horse.pid, self._horse.wait_status, None

    def kill_horse(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """Kill the job's process."""
        self._horse.kill()

    def monitor_work_horse(self, job: Any, queue: Any, execution: Any) -> None:
        """Wait until the job's process has ended, and clean up after it, also during an outage of Redis."""
        job.started_at = now()
        while not self._horse.ended.wait(self.job_monitoring_interval):
            with contextlib.suppress(RedisError):
                self.maintain_heartbeats(job, execution)
        self._horse_pid = 0
        self.executions.pop(execution.id, None)
        if self._horse.is_clean_exit:
            self._request_next_drain()
        else:
            self._clean_up(job, queue, execution)

    def _request_next_drain(self) -> None:
        """Request the next drain now, not at the next tick."""
        has_had_work = self._horse.age_s >= min(MIN_DRAIN_S, self._runtime.settings.drain_time_s)
        if has_had_work and not self._is_burst and not self._worker_shutdown.is_set():
            self._hint()

    def _clean_up(self, job: Any, queue: Any, execution: Any) -> None:
        """Give back the claims of a dead process: a task crashed it, memory ran out, or it was killed."""
        cause = self._horse.cause
        logger.error("a drain's process died (%s); its targets are computed again", cause)
        if give_back_claims(self._runtime, self._horse.drain_id) and self._is_burst:
            self._hint()  # a burst may run without a scheduler, so no tick comes
        with contextlib.suppress(RedisError, InvalidJobOperation):  # the latter: RQ has forgotten the job
            if job.get_status() not in (JobStatus.FINISHED, JobStatus.FAILED):
                job.ended_at = now()
                self.handle_job_failure(job, queue=queue, exc_string=f"the process died ({cause})", execution=execution)

    def _hint(self) -> None:
        try:
            self._runtime.queue.hint()
        except RedisError as error:
            logger.info("no drain could be requested: %s", described(error))


class ThreadWorker(SimpleWorker):
    """A worker that runs in a thread of the application; for single-process applications.

    Args:
        runtime: The runtime of the process, with its tasks.
        connection: RQ's own client.
        name: The worker's name.
        stop: Ends the worker when set.
    """

    log_result_lifespan = False
    max_connection_wait_time = MAX_RECONNECT_DELAY_S
    # Signals belong to the main thread.
    death_penalty_class = TimerDeathPenalty

    def __init__(self, runtime: Runtime, connection: "Redis", name: str, stop: threading.Event) -> None:
        # RQ waits for jobs for worker_ttl - 15 seconds at a time, and checks for the stop in between.
        super().__init__(**_options(runtime, connection, name), worker_ttl=16)
        self._runtime = runtime
        self._stop = stop

    def _install_signal_handlers(self) -> None:
        pass

    def subscribe(self) -> None:
        """Receive no commands from Redis: RQ's "shutdown" would interrupt the whole application."""

    def unsubscribe(self) -> None:
        """Do nothing: `subscribe` did nothing."""

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Report that this worker lives, or end if it must stop."""
        if self._stop.is_set() and pipeline is None:
            raise StopRequested
        super().heartbeat(timeout, pipeline)

    def perform_job(self, *arguments: Any) -> bool:
        """Run a job without a deadline, because no watchdog may kill the application's process."""
        with job_context(JobContext(self._runtime, self.name, self._stop)):
            return bool(super().perform_job(*arguments))
