"""Where a computation runs: in a thread, on the event loop, or in a process of its own."""

from enum import Enum

from warmer.claims import Job
from warmer.compute import is_async
from warmer.errors import WarmerError
from warmer.registry import batch_function_of, check_importable, late_function_of
from warmer.task import WarmingTask


class Kind(Enum):
    """Where a computation runs."""

    THREAD = "thread"
    LOOP = "loop"
    PROCESS = "process"


class Kinds:
    """Says where jobs run, and remembers it for each task.

    Who was there when a process died runs in a process of its own, if its function can be imported there: so it is
    found out whether it is the one, and nobody else dies with it.
    """

    def __init__(self) -> None:
        """Start without any."""
        self._known: dict[str, tuple[WarmingTask, Kind, bool]] = {}

    def __call__(self, job: Job) -> Kind:
        """Return where a job runs."""
        _, kind, can_be_isolated = self._of(job.task)
        return Kind.PROCESS if job.claim.deaths > 0 and can_be_isolated else kind

    def _of(self, task: WarmingTask) -> tuple[WarmingTask, Kind, bool]:
        known = self._known.get(task.task_id)
        if known is None or known[0] is not task:
            known = self._known[task.task_id] = task, kind_of(task), _can_be_isolated(task)
        return known


def kind_of(task: WarmingTask) -> Kind:
    """Return where a task's computations run.

    Example:
        >>> kind_of(WarmingTask(task_id="catalog", cache_key="catalog", compute_fn="math:gcd"))
        <Kind.THREAD: 'thread'>
    """
    if task.isolation == "process":
        return Kind.PROCESS
    function = late_function_of(task) if task.compute_many_fn is None else batch_function_of(task)
    return Kind.LOOP if is_async(function) else Kind.THREAD


def _can_be_isolated(task: WarmingTask) -> bool:
    try:
        check_importable(task)
    except WarmerError:
        return False
    return True
