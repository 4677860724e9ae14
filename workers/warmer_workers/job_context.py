"""The context of a job: which worker runs it, how it is told to stop, and how it extends its deadline."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from secrets import token_hex

from warmer.runtime import Runtime


def new_drain_id() -> str:
    """Return a new drain id: 16 random characters of hex, with which the tokens of one drain's claims begin.

    Example:
        >>> len(new_drain_id())
        16
    """
    return token_hex(8)


def no_deadline(at_monotonic_s: float) -> None:
    """Extend no deadline: in an application's own process, which no watchdog may kill."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a job knows of the worker that runs it.

    Args:
        runtime: With the tasks that this process knows.
        worker: The worker's name.
        stop: Set when the worker is asked to stop.
        drain_id: The tokens of this drain's claims begin with it; no other drain has it.
        extend_deadline: Takes the moment, on `time.monotonic`, by which the job will have called it again. A job in a
            process of its own that misses its deadline is killed.
        is_burst: Whether to return once nothing is left to do, without waiting for more.

    Example:
        >>> from warmer.settings import Settings
        >>> runtime = Runtime(Settings(redis_url="redis://localhost"))
        >>> job = JobContext(runtime, "host-1-abcdef", threading.Event())
        >>> job.extend_deadline(10.0)
        >>> job.is_burst
        False
    """

    runtime: Runtime
    worker: str
    stop: threading.Event
    drain_id: str = field(default_factory=new_drain_id)
    extend_deadline: Callable[[float], None] = no_deadline
    is_burst: bool = False


_current: ContextVar[JobContext] = ContextVar("job_context")


@contextmanager
def job_context(job: JobContext) -> Iterator[None]:
    """Run the jobs in this block in this context."""
    token = _current.set(job)
    try:
        yield
    finally:
        _current.reset(token)


def current_job() -> JobContext:
    """Return the context of the job that runs here.

    Raises:
        LookupError: no job runs.
    """
    return _current.get()
