"""Context of a running job: its worker, the event that stops it, and the deadline that it extends."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from secrets import token_hex

from warmer.runtime import Runtime


def new_drain_id() -> str:
    """Return a new drain id: 16 random hex characters, the prefix of the tokens of one drain's claims."""
    return token_hex(8)


def no_deadline(at_monotonic_s: float) -> None:
    """Do nothing: no watchdog may kill an application's own process."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """The context of a running job.

    Args:
        runtime: The runtime of the process, with its tasks.
        worker: The worker's name.
        stop: Set when the worker must stop.
        drain_id: The prefix of the tokens of this drain's claims; it is unique.
        extend_deadline: Sets the deadline of its next call, in seconds on `time.monotonic`. A watchdog kills a forked
            process that misses it.
        is_burst: Whether to return when nothing is left to do.
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
    """Set the context of the jobs that run in the block."""
    token = _current.set(job)
    try:
        yield
    finally:
        _current.reset(token)


def current_job() -> JobContext:
    """Return the context of the running job.

    Raises:
        LookupError: no job runs.
    """
    return _current.get()
