"""Computation: one call of a user's function by a worker, for one target or for a batch."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import cast

from warmer.errors import WarmerError
from warmer.refresh.effects import Routine, arun, run
from warmer.refresh.publisher import encoded_by
from warmer.refresh.refreshed import Computed
from warmer.refresh.refresher import computing_values
from warmer.refresh.request import LeasedWork
from warmer.store import Claim
from warmer.tasks.functions import is_async
from warmer.tasks.loading import batch_function_of, check_importable
from warmer.tasks.task import WarmingTask


def claim_of(work: LeasedWork) -> Claim:
    """Return the claim of a worker's work, which always has one."""
    return cast(Claim, work.claim)


class ExecutorKind(Enum):
    """Executor of a computation."""

    THREAD = "thread"
    LOOP = "loop"
    PROCESS = "process"


class ExecutorKinds:
    """Chooses the executor of each work; the choice for a task is cached.

    A crash suspect, a target that ran when a process died, runs in an isolated process if its function can be imported
    there. If it crashes again, nothing else is lost.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[WarmingTask, ExecutorKind]] = {}
        self._can_be_isolated: dict[str, tuple[WarmingTask, bool]] = {}

    def __call__(self, work: LeasedWork) -> ExecutorKind:
        """Return the executor of a work."""
        task = work.task
        if claim_of(work).deaths > 0 and self._is_importable(task):
            return ExecutorKind.PROCESS
        known = self._known.get(task.task_id)
        if known is None or known[0] is not task:
            known = self._known[task.task_id] = task, kind_of(work)
        return known[1]

    def _is_importable(self, task: WarmingTask) -> bool:
        known = self._can_be_isolated.get(task.task_id)
        if known is None or known[0] is not task:
            known = self._can_be_isolated[task.task_id] = task, _can_be_isolated(task)
        return known[1]


def kind_of(work: LeasedWork) -> ExecutorKind:
    """Return the executor of a work's task."""
    task = work.task
    if task.isolation == "process":
        return ExecutorKind.PROCESS
    function = work.request.function if task.compute_many_fn is None else batch_function_of(task)
    return ExecutorKind.LOOP if is_async(function) else ExecutorKind.THREAD


def _can_be_isolated(task: WarmingTask) -> bool:
    try:
        check_importable(task)
    except WarmerError:
        return False
    return True


GRACE_S = 0.25
"""Time for a coroutine to end after it was cancelled at its time-out; then it is abandoned."""

NO_THREADS = ThreadPoolExecutor(1, "warmer-batch")
"""An argument of `arun`, which needs no thread for a computation by a coroutine; its thread is never started."""

Report = Callable[["Computation", list[Computed]], None]
"""Receives the outcome of a computation for each target."""

MAX_SUSPECTS = 25
"""Maximum number of crash suspects in one call; one by one would take too long after a crash with 1,000 coroutines."""


class Computation:
    """One call of a function, waiting or running.

    Args:
        works: The works of its targets.
        kind: Its executor.
        timeout_s: Seconds after which it counts as failed.
        taken_s: The time of the claim, in seconds on the monotonic clock.

    Attributes:
        started_s: The start of the present call, which is repeated for the halves of a failed batch; None before.
    """

    __slots__ = ("kind", "started_s", "taken_s", "timeout_s", "works")

    def __init__(self, works: Sequence[LeasedWork], kind: ExecutorKind, timeout_s: float, taken_s: float) -> None:
        self.works = works
        self.kind = kind
        self.timeout_s = timeout_s
        self.taken_s = taken_s
        self.started_s: float | None = None

    @property
    def overdue_s(self) -> float:
        """The time from which on it is abandoned, in seconds on the monotonic clock; infinite before it begins."""
        return float("inf") if self.started_s is None else self.started_s + self.timeout_s + GRACE_S

    @property
    def is_batch(self) -> bool:
        """Whether a batch function computes its targets."""
        return self.works[0].task.compute_many_fn is not None

    @property
    def priority(self) -> int:
        """The priority of its targets' task."""
        return self.works[0].task.priority

    def run(self) -> list[Computed]:
        """Compute in this thread, and return the outcome of each target."""
        return self._encoded(run(self._computing()))

    async def arun(self) -> list[Computed]:
        """As `run`, for coroutines."""
        return self._encoded(await arun(self._computing(), NO_THREADS))

    def _computing(self) -> Routine[list[Computed]]:
        requests = [work.request for work in self.works]
        return computing_values(requests, self.timeout_s, is_batched=self.is_batch, monotonic_s=self._restart_s)

    def _encoded(self, computed: list[Computed]) -> list[Computed]:
        """Return the outcomes with encoded values only, because the completer needs no others."""
        return [
            encoded_by(work.options.codec, work.request.cache_key, one)._replace(value=None)
            for work, one in zip(self.works, computed, strict=True)
        ]

    def _restart_s(self) -> float:
        self.started_s = now_s = time.monotonic()
        return now_s


def computations_of(
    works: Iterable[LeasedWork], kind_of: Callable[[LeasedWork], ExecutorKind], max_task_s: float, taken_s: float
) -> list[Computation]:
    """Return the calls that compute these works, in their order, with batches together.

    A target that failed before is computed alone, so that it cannot fail a batch. Crash suspects of one task share a
    call in an isolated process; if that crashes, too, each of them is computed alone there.

    Args:
        works: The works of one claim.
        kind_of: Returns the executor of a work.
        max_task_s: The maximum time-out of a call, in seconds.
        taken_s: The time of the claim, in seconds on the monotonic clock.
    """
    calls: list[list[LeasedWork]] = []
    batch: list[LeasedWork] | None = None
    suspects: dict[str, list[LeasedWork]] = {}
    for work in works:
        if _is_new_suspect(work, kind_of):
            group = suspects.get(work.task.task_id)
            if group is None or len(group) == MAX_SUSPECTS or group[0].task is not work.task:
                group = suspects[work.task.task_id] = []
                calls.append(group)
            group.append(work)
        elif work.task.compute_many_fn is None or claim_of(work).failures > 0 or claim_of(work).deaths > 0:
            calls.append([work])
        elif batch is not None and batch[0].task is work.task and len(batch) < work.task.batch_size:
            batch.append(work)
        else:
            batch = [work]
            calls.append(batch)
    return [
        Computation(tuple(call), kind_of(call[0]), min(call[0].task.timeout_s, max_task_s), taken_s) for call in calls
    ]


def _is_new_suspect(work: LeasedWork, kind_of: Callable[[LeasedWork], ExecutorKind]) -> bool:
    """Return whether a target is a crash suspect only because it ran when a process died, perhaps with many others."""
    claim = claim_of(work)
    is_new = claim.deaths > 0 and claim.failures == 0 and work.task.compute_many_fn is None
    return is_new and kind_of(work) is ExecutorKind.PROCESS
