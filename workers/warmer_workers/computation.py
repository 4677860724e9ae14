"""One call of a user's function by a worker: for one target, or for those of a batch."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum

from warmer.engine.claims import Job
from warmer.errors import WarmerError
from warmer.refresh.batch import computing_many
from warmer.refresh.effects import Compute, Routine, arun, run
from warmer.refresh.publisher import Computed, computed_of
from warmer.refresh.single_flight import computing
from warmer.tasks.functions import is_async
from warmer.tasks.loading import batch_function_of, check_importable, late_function_of
from warmer.tasks.task import WarmingTask


class ExecutorKind(Enum):
    """Where a computation runs."""

    THREAD = "thread"
    LOOP = "loop"
    PROCESS = "process"


class ExecutorKinds:
    """Says where jobs run, and remembers it for each task.

    Who was there when a process died runs in a process of its own, if its function can be imported there: so it is
    found out whether it is the one, and nobody else dies with it.
    """

    def __init__(self) -> None:
        """Start without any."""
        self._known: dict[str, tuple[WarmingTask, ExecutorKind, bool]] = {}

    def __call__(self, job: Job) -> ExecutorKind:
        """Return where a job runs."""
        _, kind, can_be_isolated = self._of(job.task)
        return ExecutorKind.PROCESS if job.claim.deaths > 0 and can_be_isolated else kind

    def _of(self, task: WarmingTask) -> tuple[WarmingTask, ExecutorKind, bool]:
        known = self._known.get(task.task_id)
        if known is None or known[0] is not task:
            known = self._known[task.task_id] = task, kind_of(task), _can_be_isolated(task)
        return known


def kind_of(task: WarmingTask) -> ExecutorKind:
    """Return where a task's computations run.

    Example:
        >>> kind_of(WarmingTask(task_id="catalog", cache_key="catalog", compute_fn="math:gcd"))
        <ExecutorKind.THREAD: 'thread'>
    """
    if task.isolation == "process":
        return ExecutorKind.PROCESS
    function = late_function_of(task) if task.compute_many_fn is None else batch_function_of(task)
    return ExecutorKind.LOOP if is_async(function) else ExecutorKind.THREAD


def _can_be_isolated(task: WarmingTask) -> bool:
    try:
        check_importable(task)
    except WarmerError:
        return False
    return True


GRACE_S = 0.25
"""A coroutine is cancelled at its time-out; only what does not end by itself then is given up."""

NO_THREADS = ThreadPoolExecutor(1, "warmer-batch")
"""What a batch asks of an event loop is only computed there; no thread of these is ever started."""


Tell = Callable[["Computation", list[Computed]], None]
"""Told what came of a computation."""

SUSPECTS_TOGETHER = 25
"""When a process dies, all that it computed is suspected: one by one, a thousand coroutines would take for ever."""


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

    def __init__(self, jobs: Sequence[Job], kind: ExecutorKind, timeout_s: float, taken_s: float) -> None:
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

    @property
    def priority(self) -> int:
        """The priority of its targets' task."""
        return self.jobs[0].task.priority

    def run(self) -> list[Computed]:
        """Compute in this thread; returns what came of each target."""
        return run(self._computing())

    async def arun(self) -> list[Computed]:
        """As `run`, beside an event loop."""
        return await arun(self._computing(), NO_THREADS)

    def _computing(self) -> Routine[list[Computed]]:
        return (yield from self._computing_many()) if self.is_batch else [(yield from self._computing_one())]

    def _computing_one(self) -> Routine[Computed]:
        work, started_s = self.jobs[0].work, self._restart_s()
        try:
            with computing(work.cache_key):
                value = yield Compute(work.function, work.arguments, self.timeout_s, leaves_thread=False)
        except GeneratorExit:
            raise
        except BaseException as error:
            return Computed(time.monotonic() - started_s, error=error)
        return computed_of(work.terms.codec, work.cache_key, time.monotonic() - started_s, value)

    def _computing_many(self) -> Routine[list[Computed]]:
        self._restart_s()
        targets = [job.target for job in self.jobs]
        parts = yield from computing_many(self.jobs[0].task, targets, self.timeout_s, monotonic_s=self._restart_s)
        return [
            computed_of(job.work.terms.codec, job.work.cache_key, part.duration_s, part.value, part.error)
            for job, part in zip(self.jobs, parts, strict=True)
        ]

    def _restart_s(self) -> float:
        self.started_s = now_s = time.monotonic()
        return now_s


def computations_of(
    jobs: Iterable[Job], kind_of: Callable[[Job], ExecutorKind], max_task_s: float, taken_s: float
) -> list[Computation]:
    """Return the calls that compute these jobs: those of one batch together, in their order.

    Who has failed before is computed alone: it shall not do it to the others. Who was there when a process died is
    handed to a process of its own, with others like it: if that dies, too, each of them is tried alone there.

    Args:
        jobs: From `Claims.take`.
        kind_of: Says where a job runs.
        max_task_s: No call may take longer.
        taken_s: When they were claimed, on the monotonic clock.
    """
    calls: list[list[Job]] = []
    batch: list[Job] | None = None
    suspects: dict[str, list[Job]] = {}
    for job in jobs:
        if _is_mere_suspect(job, kind_of):
            group = suspects.get(job.task.task_id)
            if group is None or len(group) == SUSPECTS_TOGETHER or group[0].task is not job.task:
                group = suspects[job.task.task_id] = []
                calls.append(group)
            group.append(job)
        elif job.task.compute_many_fn is None or job.claim.failures > 0 or job.claim.deaths > 0:
            calls.append([job])
        elif batch is not None and batch[0].task is job.task and len(batch) < job.task.batch_size:
            batch.append(job)
        else:
            batch = [job]
            calls.append(batch)
    return [
        Computation(tuple(call), kind_of(call[0]), min(call[0].task.timeout_s, max_task_s), taken_s) for call in calls
    ]


def _is_mere_suspect(job: Job, kind_of: Callable[[Job], ExecutorKind]) -> bool:
    """Say whether a target was only there when a process died, one among perhaps hundreds of others."""
    claim = job.claim
    is_new = claim.deaths > 0 and claim.failures == 0 and job.task.compute_many_fn is None
    return is_new and kind_of(job) is ExecutorKind.PROCESS
