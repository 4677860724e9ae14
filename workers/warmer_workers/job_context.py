"""Where a job runs: at whose post, how it is told to stop, and to whom it shows that it is alive."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from secrets import token_hex

from warmer.runtime import Runtime


def new_drain_id() -> str:
    """Return what the tokens of one drain's claims begin with: 16 random characters of hex.

    Example:
        >>> len(new_drain_id())
        16
    """
    return token_hex(8)


def promise_nobody(at_monotonic_s: float) -> None:
    """Promise, where no one watches: in an application's own process, which no watchdog may kill."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """Who runs a job.

    Args:
        runtime: With the tasks that this process knows.
        worker: The worker's name.
        stop: Set when the worker is asked to stop.
        life: What the tokens of this drain's claims begin with; no other drain has it.
        promise: Takes the moment, on `time.monotonic`, by which the drain will surely have called it again. A drain in
            a process of its own that breaks its promise is killed.
        is_burst: Whether to return once nothing is left to do, without waiting for more.

    Example:
        >>> from warmer.settings import Settings
        >>> post = JobContext(Runtime(Settings(redis_url="redis://localhost")), "host-1-abcdef", threading.Event())
        >>> post.promise(10.0)
        >>> post.is_burst
        False
    """

    runtime: Runtime
    worker: str
    stop: threading.Event
    life: str = field(default_factory=new_drain_id)
    promise: Callable[[float], None] = promise_nobody
    is_burst: bool = False


_post: ContextVar[JobContext] = ContextVar("post")


@contextmanager
def job_context(post: JobContext) -> Iterator[None]:
    """Run the jobs in this block at this post.

    Args:
        post: Who runs them.
    """
    token = _post.set(post)
    try:
        yield
    finally:
        _post.reset(token)


def current_job() -> JobContext:
    """Return the post at which the present job runs.

    Raises:
        LookupError: no job runs.
    """
    return _post.get()
