"""Job functions that RQ calls. Their paths are wire format: jobs in Redis contain them."""

import logging
import math
import time

from redis.exceptions import RedisError

from warmer.engine import tuning
from warmer.errors import described
from warmer_workers.drain import Drain
from warmer_workers.job_context import current_job

logger = logging.getLogger("warmer.drain")

MAX_JOB_END_S = 30.0
"""How long RQ may take to record that a job has ended."""


def drain() -> int:
    """Refresh ready targets, the most urgent first, until the drain's time is up; returns the number of targets."""
    job = current_job()
    try:
        return Drain(job).run()
    except RedisError as error:
        logger.warning("a drain ended early, Redis is away: %s", described(error))
        return 0
    except Exception:
        logger.exception("a drain failed; its claims expire")
        raise
    finally:
        job.extend_deadline(time.monotonic() + MAX_JOB_END_S)


def optimize() -> int:
    """Adjust the schedules of the most read targets; returns the number of changes."""
    job = current_job()
    job.extend_deadline(math.inf)  # no task's code runs here, and RQ has a time-out of its own
    job.runtime.background.tick()
    return tuning.optimize(job.runtime.store, job.runtime.settings).tasks_optimized
