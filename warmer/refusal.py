"""Why a target that was asked for by hand is not warmed: what Redis answers, in words."""

from warmer.errors import BacklogFullError, UnknownTaskError, WarmerError


def refusal(task_id: str, answer: str, capacity: int) -> WarmerError:
    """Return what is raised for an answer other than "asked".

    Args:
        task_id: The task that was asked for.
        answer: "full", "quarantined", "disabled" or "unknown".
        capacity: How many targets may wait.

    Example:
        >>> refusal("profile", "disabled", 100)
        UnknownTaskError("task 'profile' is disabled; register it, enabled, before warming it")
    """
    if answer == "full":
        return BacklogFullError(
            f"task {task_id!r} was not asked for: {capacity} targets wait for a worker, as many as may; start more "
            "workers and try again, or raise WARMER_BACKLOG_CAPACITY"
        )
    if answer == "quarantined":
        return WarmerError(
            f"task {task_id!r}, or the target of it that was asked for, is in quarantine: it has killed the processes "
            "that computed it, so workers leave it alone; `warmer stats` shows it, and a new definition or "
            "`warmer release NAME` lets it go"
        )
    state = "not registered" if answer == "unknown" else answer
    return UnknownTaskError(f"task {task_id!r} is {state}; register it, enabled, before warming it")
