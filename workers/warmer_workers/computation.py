"""One call of a user's function by a worker: for one target, or for those of a batch."""

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
from warmer.tasks.loading import batch_function_of, check_importable, late_function_of
from warmer.tasks.task import WarmingTask


def claim_of(work: LeasedWork) -> Claim:
    """Return the claim of a worker's work, which always has one."""
    return cast(Claim, work.claim)


class ExecutorKind(Enum):
    """Where a computation runs."""

    THREAD = "thread"
    LOOP = "loop"
    PROCESS = "process"


class ExecutorKinds:
    """Says where works run, and remembers it for each task.

    Who was there when a process died runs in a process of its own, if its function can be imported there: so it is
    found out whether it is the one, and nobody else dies with it.
    """

    def __init__(self) -> None:
        """Start without any."""
        self._known: dict[str, tuple[WarmingTask, ExecutorKind, bool]] = {}

    def __call__(self, work: LeasedWork) -> ExecutorKind:
        """Return where a work runs."""
        _, kind, can_be_isolated = self._of(work.task)
        return ExecutorKind.PROCESS if claim_of(work).deaths > 0 and can_be_isolated else kind

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
        works: The targets whose values it brings.
        kind: Where it runs.
        timeout_s: Seconds after which it counts as failed.
        taken_s: When its targets were claimed, on the monotonic clock.

    Attributes:
        started_s: When its present call began, of a batch that is halved one after the other; None before.
    """

    __slots__ = ("kind", "started_s", "taken_s", "timeout_s", "works")

    def __init__(self, works: Sequence[LeasedWork], kind: ExecutorKind, timeout_s: float, taken_s: float) -> None:
        """Wait for a place."""
        self.works = works
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
        return self.works[0].task.compute_many_fn is not None

    @property
    def priority(self) -> int:
        """The priority of its targets' task."""
        return self.works[0].task.priority

    def run(self) -> list[Computed]:
        """Compute in this thread; returns the outcome for each target."""
        return self._encoded(run(self._computing()))

    async def arun(self) -> list[Computed]:
        """As `run`, beside an event loop."""
        return self._encoded(await arun(self._computing(), NO_THREADS))

    def _computing(self) -> Routine[list[Computed]]:
        requests = [work.request for work in self.works]
        return computing_values(requests, self.timeout_s, is_batched=self.is_batch, monotonic_s=self._restart_s)

    def _encoded(self, computed: list[Computed]) -> list[Computed]:
        """Return values as bytes only: they are encoded by the threads that compute, and wait for Redis as such."""
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
    """Return the calls that compute these works: those of one batch together, in their order.

    Who has failed before is computed alone: it shall not do it to the others. Who was there when a process died is
    handed to a process of its own, with others like it: if that dies, too, each of them is tried alone there.

    Args:
        works: From `Claims.take`.
        kind_of: Says where a work runs.
        max_task_s: No call may take longer.
        taken_s: When they were claimed, on the monotonic clock.
    """
    calls: list[list[LeasedWork]] = []
    batch: list[LeasedWork] | None = None
    suspects: dict[str, list[LeasedWork]] = {}
    for work in works:
        if _is_mere_suspect(work, kind_of):
            group = suspects.get(work.task.task_id)
            if group is None or len(group) == SUSPECTS_TOGETHER or group[0].task is not work.task:
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


def _is_mere_suspect(work: LeasedWork, kind_of: Callable[[LeasedWork], ExecutorKind]) -> bool:
    """Say whether a target was only there when a process died, one among perhaps hundreds of others."""
    claim = claim_of(work)
    is_new = claim.deaths > 0 and claim.failures == 0 and work.task.compute_many_fn is None
    return is_new and kind_of(work) is ExecutorKind.PROCESS
