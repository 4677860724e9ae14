"""Stock rq-scheduler for comparison: one scheduled job for each key, on the same machine."""

import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from redis import Redis

from measuring.store.memory import WITHOUT_HISTOGRAMS, data_bytes
from measuring.store.population import DUE
from warmer.processes.private_server import PrivateServer

TICKS = 3
LATER = timedelta(hours=1)
JOB = "measuring.warming.rq_jobs.compute_and_set"


class Stock(NamedTuple):
    """The cost of scheduled jobs.

    Args:
        jobs: How many jobs were scheduled.
        bytes_each: The memory that one takes.
        scheduled_per_s: How many one process schedules in a second.
        tick_ms: One pass that finds a thousand of them due; median.
    """

    jobs: int
    bytes_each: float
    scheduled_per_s: float
    tick_ms: float


def stock_schedule(jobs: int) -> Stock:
    """Schedule so many jobs for later, and then let thousands of them be due.

    Raises:
        ImportError: rq-scheduler is not installed.
    """
    from rq_scheduler import Scheduler

    with PrivateServer.start(args=WITHOUT_HISTOGRAMS) as server, Redis.from_url(server.url) as client:
        scheduler = Scheduler("plain", connection=client, interval=1)
        at = datetime.now(UTC) + LATER
        before = data_bytes(client)
        started = time.perf_counter()
        ids = [scheduler.enqueue_at(at, JOB, number).id for number in range(jobs)]
        passed_s = time.perf_counter() - started
        bytes_each = (data_bytes(client) - before) / jobs
        ticks = [_tick_ms(scheduler, client, ids[DUE * turn : DUE * (turn + 1)]) for turn in range(TICKS)]
        return Stock(jobs, bytes_each, jobs / passed_s, statistics.median(ticks))


def _tick_ms(scheduler: Any, client: "Redis", ids: list[str]) -> float:
    client.zadd(scheduler.scheduled_jobs_key, {job_id: time.time() - 1 for job_id in ids})
    started = time.perf_counter()
    scheduler.enqueue_jobs()
    passed_ms = 1000 * (time.perf_counter() - started)
    left = [at for at in client.zmscore(scheduler.scheduled_jobs_key, ids) if at is not None]
    if left:
        raise SystemExit(f"rq-scheduler left {len(left)} of {len(ids)} jobs that were due")
    return passed_ms
