"""RQ's workers, fitted to drains: one queue, JSON, safe jobs, a watched process, and a stop that reaches the drain."""

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
from warmer_workers.work_horse_child import guard_child, signals_held_back

logger = logging.getLogger("warmer.worker")

COLLECTED_AFTER = (50_000, 20, 100)
"""How many new objects, and how many rounds of the younger generations, before a drain looks for cycles."""

LONGEST_PAUSE_S = 1.0
"""RQ doubles its pause between two attempts to reach Redis up to a minute: long after Redis is back."""

SHOW_LIFE_EVERY_S = 5

SHORT_DRAIN_S = 1.0
"""After a drain that ended sooner by itself there was nothing to do, or Redis was away: the next tick knows when."""


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
    """A worker process; each drain runs in a child of its own, so that no task can take the worker down.

    Args:
        runtime: With the tasks that this process knows.
        connection: RQ's own client.
        name: The worker's name.
        stopping: Obeys the signals of this process.
        is_burst: Whether to end when nothing is left to do.
    """

    log_result_lifespan = False
    max_connection_wait_time = LONGEST_PAUSE_S

    def __init__(
        self, runtime: Runtime, connection: "Redis", name: str, stopping: Shutdown, *, is_burst: bool = False
    ) -> None:
        """Prepare."""
        super().__init__(
            **_options(runtime, connection, name), worker_ttl=60, job_monitoring_interval=SHOW_LIFE_EVERY_S
        )
        self._runtime = runtime
        self._stopping = stopping
        self._is_burst = is_burst
        self._horse = WorkHorse()
        self._stop_drain = threading.Event()

    def _install_signal_handlers(self) -> None:
        """Leave signals to `Shutdown`; one that came a moment before is not forgotten."""
        if self._stopping.is_set():
            raise StopRequested

    def execute_job(self, job: Any, queue: Any) -> None:
        """Run a job to its end; a signal reaches its process by other means."""
        with self._stopping.deferred():
            super().execute_job(job, queue)

    def fork_work_horse(self, job: Any, queue: Any) -> None:
        """Fork the job's process, and have it watched."""
        self._horse = WorkHorse()
        with signals_held_back():
            super().fork_work_horse(job, queue)
        self._horse.forked(self.horse_pid)
        self._stopping.attend(self._horse)

    def setup_work_horse_signals(self) -> None:
        """In the child: SIGTERM ends the drain in good order, and the end of the parent is its own."""
        self._stop_drain = guard_child(self.pid or os.getppid())
        # Values come and go by the thousand here, and what was there before the fork stays: looking through all of it
        # for cycles, again and again, takes a tenth of the time.
        gc.freeze()
        gc.set_threshold(*COLLECTED_AFTER)

    def perform_job(self, *arguments: Any) -> bool:
        """In the child: run a job at this worker's post."""
        horse = self._horse
        post = JobContext(self._runtime, self.name, self._stop_drain, horse.life, horse.promise.give, self._is_burst)
        with job_context(post):
            has_succeeded = bool(super().perform_job(*arguments))
        horse.promise.fulfil()
        return has_succeeded

    def unsubscribe(self) -> None:
        """Hear no more commands; without RQ's second of waiting for a thread that it tells too late to end."""
        if self.pubsub_thread:
            self.pubsub_thread.stop()
        super().unsubscribe()  # type: ignore[no-untyped-call]

    def wait_for_horse(self) -> tuple[int, int | None, None]:
        """Wait until the job's process has ended, and return what RQ wants to know of that."""
        self._horse.ended.wait()
        return self._horse.pid, self._horse.wait_status, None

    def kill_horse(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """End the job's process at once."""
        self._horse.kill()

    def monitor_work_horse(self, job: Any, queue: Any, execution: Any) -> None:
        """Wait until the job's process has ended, and see to what it leaves behind; Redis may be away meanwhile."""
        job.started_at = now()
        while not self._horse.ended.wait(self.job_monitoring_interval):
            with contextlib.suppress(RedisError):
                self.maintain_heartbeats(job, execution)
        self._horse_pid = 0
        self.executions.pop(execution.id, None)
        if self._horse.has_ended_well:
            self._go_on()
        else:
            self._bury(job, queue, execution)

    def _go_on(self) -> None:
        """Begin the next drain now, not at the next tick."""
        has_had_work = self._horse.lived_s >= min(SHORT_DRAIN_S, self._runtime.settings.drain_time_s)
        if has_had_work and not self._is_burst and not self._stopping.is_set():
            self._hint()

    def _bury(self, job: Any, queue: Any, execution: Any) -> None:
        """A task crashed the job's process, memory ran out, or it was killed: others compute what it had claimed."""
        cause = self._horse.cause
        logger.error("a drain's process died (%s); what it had claimed is computed again", cause)
        if give_back_claims(self._runtime, self._horse.life) and self._is_burst:
            self._hint()  # a burst may be all that there is: no tick comes
        with contextlib.suppress(RedisError, InvalidJobOperation):  # the latter: RQ has forgotten the job
            if job.get_status() not in (JobStatus.FINISHED, JobStatus.FAILED):
                job.ended_at = now()
                self.handle_job_failure(job, queue=queue, exc_string=f"the process died ({cause})", execution=execution)

    def _hint(self) -> None:
        try:
            self._runtime.queue.hint()
        except RedisError as error:
            logger.info("no drain could be asked for: %s", described(error))


class ThreadWorker(SimpleWorker):
    """A worker that runs in a thread of the application; for single-process applications.

    Args:
        runtime: With the tasks that this process knows.
        connection: RQ's own client.
        name: The worker's name.
        stop: Ends the worker when set.
    """

    log_result_lifespan = False
    max_connection_wait_time = LONGEST_PAUSE_S
    # Signals belong to the main thread.
    death_penalty_class = TimerDeathPenalty

    def __init__(self, runtime: Runtime, connection: "Redis", name: str, stop: threading.Event) -> None:
        """Prepare."""
        # RQ waits for jobs in turns of worker_ttl - 15 seconds, and looks for the stop between two turns.
        super().__init__(**_options(runtime, connection, name), worker_ttl=16)
        self._runtime = runtime
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
        """Run a job at this worker's post; nobody watches it, since the process is the application's own."""
        with job_context(JobContext(self._runtime, self.name, self._stop)):
            return bool(super().perform_job(*arguments))
