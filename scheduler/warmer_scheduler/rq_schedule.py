"""rq-scheduler without its data losses: the stored schedule follows the plan, and each job moves in one transaction."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from redis.exceptions import WatchError
from rq.exceptions import DeserializationError, NoSuchJobError
from rq.job import JobStatus
from rq_scheduler import Scheduler

from warmer.engine.drain_queue import DrainQueue, SafeJob
from warmer.store.control.rq_access import RqAccess
from warmer_scheduler.periodic_jobs import PeriodicJob

logger = logging.getLogger("warmer.scheduler")

RQ_QUEUES_KEY = "rq:queues"


class RqSchedule(Scheduler):  # type: ignore[misc]  # rq-scheduler has no types
    """The periodic jobs of one namespace, in rq-scheduler's own format.

    It mends faults of rq-scheduler: a crash between two of its commands loses a job for ever, one job that cannot be
    decoded ends its loop, a missing hash drops its schedule, its lock has no owner, and it enqueues the same job again
    while no worker runs.

    Args:
        queue: Where due jobs go.
        access: The connection, and names of keys.
        tick_s: How often it looks for due jobs.
        leader_token: Jobs move only while this token leads.
    """

    def __init__(self, queue: DrainQueue, access: RqAccess, tick_s: float, leader_token: str) -> None:
        """Prepare; nothing is sent yet."""
        self.scheduled_jobs_key = access.scheduled_jobs
        self.redis_scheduler_namespace_prefix = access.scheduler_instances
        self._leader_key = access.leader
        self._leader_token = leader_token.encode()
        super().__init__(queue=queue.rq, interval=tick_s, connection=access.connection, job_class=SafeJob)

    def keep_to(self, plan: Sequence[PeriodicJob]) -> None:
        """Make the stored schedule equal to the plan, so that a job that was lost comes back.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        stored = {job_id.decode() for job_id in self.connection.zrange(self.scheduled_jobs_key, 0, -1)}
        for job_id in stored - {job.job_id for job in plan}:
            self._drop(job_id)
        for job in plan:
            if job.job_id not in stored or not self._is_as_planned(job):
                self._put(job)

    def enqueue_jobs(self) -> list[str]:
        """Enqueue the jobs that are due; returns their ids.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        now_s = self._now_s()
        due = self.connection.zrange(self.scheduled_jobs_key, 0, now_s, byscore=True)
        return [job_id.decode() for job_id in due if self._enqueue_due(job_id.decode(), now_s)]

    def _enqueue_due(self, job_id: str, now_s: int) -> bool:
        try:
            job = SafeJob.fetch(job_id, connection=self.connection)
            every_s = int(job.meta["interval"])
            _ = job.func_name
        except (NoSuchJobError, DeserializationError, KeyError, TypeError, ValueError) as error:
            logger.error("scheduled job %r cannot be read and is dropped: %r", job_id, error)
            self._drop(job_id)
            return False
        return self._move(job, now_s + every_s, push=not self._is_under_way(job, every_s))

    def _move(self, job: Any, next_run_s: int, push: bool) -> bool:
        """Push a job and plan its next run in one transaction, while this process leads."""
        with self.connection.pipeline() as pipeline:
            pipeline.watch(self._leader_key)
            if pipeline.get(self._leader_key) != self._leader_token:
                return False
            pipeline.multi()
            if push:
                pipeline.sadd(RQ_QUEUES_KEY, self._queue.key)
                self._queue._enqueue_job(job, pipeline=pipeline)
            pipeline.zadd(self.scheduled_jobs_key, {job.id: next_run_s})
            try:
                pipeline.execute()
            except WatchError:  # another scheduler leads by now, and enqueues it
                return False
        return push

    def _is_under_way(self, job: Any, every_s: int) -> bool:
        """Return whether the last run still waits or runs; one that is too old was lost."""
        if job.get_status(refresh=False) not in (JobStatus.QUEUED, JobStatus.STARTED) or job.enqueued_at is None:
            return False
        age_s = (datetime.now(UTC) - job.enqueued_at).total_seconds()
        return bool(age_s < 2 * every_s)

    def _is_as_planned(self, planned: PeriodicJob) -> bool:
        try:
            job = SafeJob.fetch(planned.job_id, connection=self.connection)
            return job.func_name == planned.path and job.meta.get("interval") == planned.every_s
        except (NoSuchJobError, DeserializationError):
            return False

    def _put(self, planned: PeriodicJob) -> None:
        job = SafeJob.create(
            planned.path,
            id=planned.job_id,
            connection=self.connection,
            origin=self._queue.name,
            description=planned.job_id,
            timeout=planned.timeout_s,
            result_ttl=-1,  # the hash is the schedule: it must not expire
            meta={"interval": planned.every_s},
            status=JobStatus.SCHEDULED,
        )
        with self.connection.pipeline() as pipeline:
            pipeline.delete(job.key)
            job.save(pipeline=pipeline)
            pipeline.zadd(self.scheduled_jobs_key, {job.id: self._now_s() + planned.every_s})
            pipeline.execute()

    def _drop(self, job_id: str) -> None:
        with self.connection.pipeline() as pipeline:
            pipeline.zrem(self.scheduled_jobs_key, job_id)
            pipeline.delete(SafeJob.key_for(job_id))
            pipeline.execute()

    def _now_s(self) -> int:
        return int(self.connection.time()[0])
