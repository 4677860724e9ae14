"""Spec of a task, as the scripts read it: what its targets need, how long they are fresh, which account pays."""

from typing import Literal, NamedTuple

from warmer.errors import NotImportableError
from warmer.tasks.functions import is_async
from warmer.tasks.loading import batch_function_of, function_of
from warmer.tasks.task import WarmingTask


class TaskSpec(NamedTuple):
    """Spec of a task: what its targets need.

    Args:
        priority: Higher first.
        is_critical: Whether it may use what limits reserve.
        kind: What a computation needs: "t" a thread, "l" the event loop, "p" a process.
        batch_size: How many of its targets one call computes at most.
        limit: The limit that its computations are under; "" for none.
    """

    priority: int
    is_critical: bool
    kind: Literal["t", "l", "p"]
    batch_size: int
    limit: str


def parse_task_spec(text: str) -> TaskSpec:
    """Return the spec from its text; see `task_spec_text`.

    Args:
        text: As it stands in Redis.

    Example:
        >>> parse_task_spec("7 o t 1 0 3600000 f pg")
        TaskSpec(priority=7, is_critical=False, kind='t', batch_size=1, limit='pg')
    """
    priority, importance, kind, batch_size, _, _, _, limit = text.split(" ", 7)
    return TaskSpec(int(priority), importance == "c", kind, int(batch_size), limit)  # type: ignore[arg-type]


def task_spec_text(task: WarmingTask) -> str:
    """Return the spec of a task as a text, which the scripts read.

    Args:
        task: The task; a function given by its path is imported, if it can be.

    Returns:
        "priority c|o t|l|p batch_size batch_wait_ms ttl_ms f|t|n limit": critical or ordinary; a thread, the event
        loop or a process; whether refreshes are paid for by the fleet's account, the task's own, or none, as they are
        made whatever they cost.

    Example:
        >>> task = WarmingTask(task_id="catalog", cache_key="catalog", compute_fn="math:gcd", priority=7, limit="pg")
        >>> task_spec_text(task)
        '7 o t 1 0 3600000 f pg'
    """
    batch_size = task.batch_size if task.compute_many_fn is not None else 1
    batch_wait_ms = round(1000 * task.batch_wait_s) if batch_size > 1 else 0
    importance = "c" if task.is_critical else "o"
    ttl_ms = max(1, round(1000 * task.ttl))
    needs = f"{importance} {_kind(task)} {batch_size} {batch_wait_ms}"
    return f"{task.priority} {needs} {ttl_ms} {_account(task)} {task.limit or ''}"


def _account(task: WarmingTask) -> str:
    if task.is_always_warm:
        return "n"
    return "t" if task.has_own_budget else "f"


def _kind(task: WarmingTask) -> str:
    if task.isolation == "process":
        return "p"
    try:
        function = function_of(task) if task.compute_many_fn is None else batch_function_of(task)
        return "l" if is_async(function) else "t"
    except NotImportableError:  # a process that can import it registers the right kind
        return "t"
