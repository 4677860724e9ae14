"""What a task's targets need in order to be computed: decides which of them take turns."""

from warmer.compute import is_async
from warmer.errors import NotImportableError
from warmer.registry import batch_function_of, function_of
from warmer.task import WarmingTask


def lane_text(task: WarmingTask) -> str:
    """Return what a task's targets need, as the scripts read it.

    Args:
        task: The task; a function given by its path is imported, if it can be.

    Returns:
        "priority c|o t|l|p batch_size batch_wait_ms limit": critical or ordinary; a thread, the event loop or a
        process.

    Example:
        >>> lane_text(WarmingTask(task_id="catalog", cache_key="catalog", compute_fn="math:gcd", priority=7, uses="pg"))
        '7 o t 1 0 pg'
    """
    batch_size = task.batch_size if task.compute_many_fn is not None else 1
    batch_wait_ms = round(1000 * task.batch_wait_s) if batch_size > 1 else 0
    importance = "c" if task.is_critical else "o"
    return f"{task.priority} {importance} {_kind(task)} {batch_size} {batch_wait_ms} {task.uses or ''}"


def _kind(task: WarmingTask) -> str:
    if task.isolation == "process":
        return "p"
    try:
        function = function_of(task) if task.compute_many_fn is None else batch_function_of(task)
        return "l" if is_async(function) else "t"
    except NotImportableError:  # whoever can import it says so when it registers it
        return "t"
