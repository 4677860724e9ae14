"""What RQ calls. The paths of these functions are wire format: jobs in Redis name them."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from redis.exceptions import RedisError

from warmer.client import Warmer
from warmer.errors import described
from warmer_workers.drain import Drain

logger = logging.getLogger("warmer.drain")


@dataclass(frozen=True, slots=True)
class Post:
    """Who runs a job.

    Args:
        warmer: With the tasks that this process knows.
        worker: The worker's name.
        stop: Set when the worker is asked to stop.
    """

    warmer: Warmer
    worker: str
    stop: threading.Event


_post: ContextVar[Post] = ContextVar("post")


@contextmanager
def serving(post: Post) -> Iterator[None]:
    """Run the jobs in this block at this post."""
    token = _post.set(post)
    try:
        yield
    finally:
        _post.reset(token)


def drain() -> int:
    """Refresh what is ready, best first, until nothing is or time is up; returns how many targets."""
    post = _post.get()
    try:
        return Drain(post.warmer, post.worker, post.stop).run()
    except RedisError as error:
        logger.warning("a drain ended early, Redis is away: %s", described(error))
        return 0
    except Exception:
        logger.exception("a drain broke down; what it had claimed lapses")
        raise


def optimize() -> int:
    """Apply what reads have taught; returns how many schedules were changed."""
    return _post.get().warmer.optimize().tasks_optimized
