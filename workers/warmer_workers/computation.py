"""One call of a user's function by a worker: for one target, or for those of a batch."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from warmer.batch import Part, computing_many
from warmer.claims import Job
from warmer.compute import acall, call
from warmer.computed import Computed
from warmer.flights import computing
from warmer.publication import encoded
from warmer.steps import Steps, arun, run
from warmer_workers.kind import Kind

GRACE_S = 0.25
"""A coroutine is cancelled at its time-out; only what does not end by itself then is given up."""

NO_THREADS = ThreadPoolExecutor(1, "warmer-batch")
"""What a batch asks of an event loop is only computed there; no thread of these is ever started."""


class Computation:
    """A call that is to be made, or is under way.

    Args:
        jobs: The targets whose values it brings.
        kind: Where it runs.
        timeout_s: Seconds after which it counts as failed.
        taken_s: When its targets were claimed, on the monotonic clock.

    Attributes:
        started_s: When its present call began, of a batch that is halved one after the other; None before.
    """

    __slots__ = ("jobs", "kind", "started_s", "taken_s", "timeout_s")

    def __init__(self, jobs: Sequence[Job], kind: Kind, timeout_s: float, taken_s: float) -> None:
        """Wait for a place."""
        self.jobs = jobs
        self.kind = kind
        self.timeout_s = timeout_s
        self.taken_s = taken_s
        self.started_s: float | None = None

    @property
    def overdue_s(self) -> float:
        """From when on it is given up, on the monotonic clock; never before it has begun."""
        return float("inf") if self.started_s is None else self.started_s + self.timeout_s + GRACE_S

    @property
    def is_batch(self) -> bool:
        """Whether its targets are computed by one call of a function that takes many."""
        return self.jobs[0].task.compute_many_fn is not None

    def run(self) -> list[Computed]:
        """Compute in this thread; returns what came of each target."""
        started_s = self._restart_s()
        if self.is_batch:
            return self._opened(run(self._computing_many()))
        work = self.jobs[0].work
        try:
            with computing(work.cache_key):
                value = call(work.function, work.arguments, self.timeout_s)
        except BaseException as error:
            return [Computed(time.monotonic() - started_s, error=error)]
        return [encoded(work, value, time.monotonic() - started_s)]

    async def arun(self) -> list[Computed]:
        """As `run`, beside an event loop."""
        started_s = self._restart_s()
        if self.is_batch:
            return self._opened(await arun(self._computing_many(), NO_THREADS))
        work = self.jobs[0].work
        try:
            with computing(work.cache_key):
                value = await acall(work.function, work.arguments, self.timeout_s)
        except BaseException as error:
            return [Computed(time.monotonic() - started_s, error=error)]
        return [encoded(work, value, time.monotonic() - started_s)]

    def _computing_many(self) -> Steps[list[Part]]:
        targets = [job.target for job in self.jobs]
        return computing_many(self.jobs[0].task, targets, self.timeout_s, monotonic_s=self._restart_s)

    def _restart_s(self) -> float:
        self.started_s = now_s = time.monotonic()
        return now_s

    def _opened(self, parts: Sequence[Part]) -> list[Computed]:
        return [
            Computed(part.duration_s, error=part.error)
            if part.error is not None
            else encoded(job.work, part.value, part.duration_s)
            for job, part in zip(self.jobs, parts, strict=True)
        ]


def computations_of(
    jobs: Iterable[Job], kind_of: Callable[[Job], Kind], longest_task_s: float, taken_s: float
) -> list[Computation]:
    """Return the calls that compute these jobs: those of one batch together, in their order.

    Who has failed before, or was there when a process died, is computed alone: it shall not do it to the others.

    Args:
        jobs: From `Claims.take`.
        kind_of: Says where a job runs.
        longest_task_s: No call may take longer.
        taken_s: When they were claimed, on the monotonic clock.
    """
    calls: list[list[Job]] = []
    batch: list[Job] | None = None
    for job in jobs:
        if job.task.compute_many_fn is None or job.claim.failures > 0 or job.claim.deaths > 0:
            calls.append([job])
        elif batch is not None and batch[0].task is job.task and len(batch) < job.task.batch_size:
            batch.append(job)
        else:
            batch = [job]
            calls.append(batch)
    return [
        Computation(tuple(call), kind_of(call[0]), min(call[0].task.timeout_s, longest_task_s), taken_s)
        for call in calls
    ]
