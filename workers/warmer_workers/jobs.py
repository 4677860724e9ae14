"""What RQ calls. The paths of these functions are wire format: jobs in Redis name them."""

import logging
import math
import time

from redis.exceptions import RedisError

from warmer.engine import tuning
from warmer.errors import described
from warmer_workers.drain import Drain
from warmer_workers.job_context import current_job

logger = logging.getLogger("warmer.drain")

ACCOUNTS_S = 30.0
"""How long RQ may take to write down that a job has ended."""


def drain() -> int:
    """Refresh what is ready, best first, until nothing is or time is up; returns how many targets."""
    post = current_job()
    try:
        return Drain(post).run()
    except RedisError as error:
        logger.warning("a drain ended early, Redis is away: %s", described(error))
        return 0
    except Exception:
        logger.exception("a drain broke down; what it had claimed lapses")
        raise
    finally:
        post.promise(time.monotonic() + ACCOUNTS_S)


def optimize() -> int:
    """Apply what reads have taught; returns how many schedules were changed."""
    post = current_job()
    post.promise(math.inf)  # no task's code runs here, and RQ has a time-out of its own
    post.runtime.background.tick()
    return tuning.optimize(post.runtime.store, post.runtime.settings).tasks_optimized
