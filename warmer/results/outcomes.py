"""Outcomes of calls that warm or optimize. Durations end in ``_ms`` for one target and in ``_s`` for many."""

from collections.abc import Mapping
from typing import Any

from warmer.results.dict_like import DictLike


class CriticalTask(DictLike):
    """Outcome of one critical task.

    Args:
        task_id: Its id.
        name: Its name for people.
        success: Whether a fresh value is cached now.
        duration_ms: Duration of the computation; 0.0 if none was needed.
        error: The error, if it failed.
    """

    task_id: str
    name: str
    success: bool
    duration_ms: float
    error: str | None


class CriticalWarming(DictLike):
    """Outcome of `warm_critical_data`.

    Args:
        total: Enabled critical tasks.
        succeeded: Tasks whose value was computed and published.
        failed: Tasks that failed, or were not finished in time.
        skipped: Tasks whose value was fresh already.
        tasks: Each of them, highest priority first.
        total_duration_ms: Duration of the call.
    """

    total: int
    succeeded: int
    failed: int
    skipped: int
    tasks: list[CriticalTask]
    total_duration_ms: float


class UserWarming(DictLike):
    """Outcome of `warm_user_data_optimized`.

    Args:
        user_id: The user.
        requested: Ids of the tasks whose values are being warmed.
        skipped: Ids of tasks with the same field that were not requested.
    """

    user_id: str
    requested: list[str]
    skipped: list[str]


class WarmOutcome(DictLike):
    """Outcome of one target that workers were asked to warm.

    Args:
        ref: Canonical text of the target.
        success: Whether a fresh value is cached now.
        result: "published", "fresh" (one was there already), "failed" or "cancelled".
        duration_ms: Duration of the computation; 0.0 if none was needed.
        error: The error, if it failed.
    """

    ref: str
    success: bool
    result: str
    duration_ms: float
    error: str | None

    @classmethod
    def of(cls, reported: Mapping[str, Any]) -> "WarmOutcome":
        """Return the outcome that a worker reported."""
        success = reported["result"] in ("published", "fresh")
        return cls(
            ref=reported["ref"],
            success=success,
            result=reported["result"],
            duration_ms=reported["duration_ms"],
            error=None if success else reported["error"],
        )

    @classmethod
    def cancelled(cls, ref: str) -> "WarmOutcome":
        """Return the outcome of a target that was withdrawn before a worker began it.

        Example:
            >>> WarmOutcome.cancelled("catalog").result
            'cancelled'
        """
        return cls(ref=ref, success=False, result="cancelled", duration_ms=0.0, error=None)


class BulkOutcome(DictLike):
    """Outcome of one `warm_many`.

    Args:
        total: Items of the iterable; None if that is not known.
        warmed: Items whose value was computed and published.
        fresh: Items whose value was fresh already.
        failed: Items whose computation failed, or that fit no target.
        cancelled: Items that were not warmed because the run was cancelled before.
        errors: The first 100 failures: canonical text of the target -> error. An item that fits no target is named by
            its number, from 1, and its text, as in "item 3: ...".
        duration_s: Duration of the run.
    """

    total: int | None
    warmed: int
    fresh: int
    failed: int
    cancelled: int
    errors: dict[str, str]
    duration_s: float


class ScheduleAdjustment(DictLike):
    """Change of the schedule of one target.

    Args:
        task_id: The id of its task.
        ref: Canonical text of the target: the task's id, and its arguments if it has any.
        reads_per_minute: Its reads per minute.
        interval_minutes: Minutes between refreshes from now on; None if it is not refreshed.
        previous_interval_minutes: Minutes between refreshes until now; None if it was not refreshed.
        reason: The reason of the change.
    """

    task_id: str
    ref: str
    reads_per_minute: float
    interval_minutes: float | None
    previous_interval_minutes: float | None
    reason: str


class Optimization(DictLike):
    """Outcome of `optimize_warming_schedules`.

    Args:
        tasks_optimized: Number of changed schedules.
        schedules_adjusted: Each changed schedule, the most read target first.
    """

    tasks_optimized: int
    schedules_adjusted: list[ScheduleAdjustment]
