"""Outcomes of calls that warm or optimize. Durations end in ``_ms`` for one target and in ``_s`` for many."""

from collections.abc import Mapping
from typing import Any

from warmer.results.dict_like import DictLike


class CriticalTask(DictLike):
    """How one critical task fared.

    Args:
        task_id: Its id.
        name: What people call it.
        success: Whether a fresh value is cached now.
        duration_ms: How long the computation took; 0.0 if none was needed.
        error: What went wrong, if it failed.
    """

    task_id: str
    name: str
    success: bool
    duration_ms: float
    error: str | None


class CriticalWarming(DictLike):
    """How `warm_critical_data` went.

    Args:
        total: Enabled critical tasks.
        succeeded: Those computed and published.
        failed: Those that failed, or were not finished in time.
        skipped: Those whose value was fresh already.
        tasks: Each of them, highest priority first.
        total_duration_ms: How long the call took.
    """

    total: int
    succeeded: int
    failed: int
    skipped: int
    tasks: list[CriticalTask]
    total_duration_ms: float


class UserWarming(DictLike):
    """What `warm_user_data_optimized` asked for.

    Args:
        user_id: The user.
        requested: Ids of the tasks whose values are being warmed.
        skipped: Ids of user-scoped tasks that were left out.
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
        duration_ms: How long the computation took; 0.0 if none was needed.
        error: What went wrong, if it failed.
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
    """How the targets of one `warm_many` fared.

    Args:
        total: Items of the iterable; None if that was never known.
        warmed: Items whose value was computed and published.
        fresh: Those whose value was fresh already.
        failed: Those that could not be computed, or fitted no target.
        cancelled: Those that were not warmed because it was cancelled before.
        errors: The first 100 failures: canonical text of the target -> what went wrong. An item that fitted no target
            stands there as "item 3: " and what it was, counted from 1.
        duration_s: How long it took.
    """

    total: int | None
    warmed: int
    fresh: int
    failed: int
    cancelled: int
    errors: dict[str, str]
    duration_s: float


class ScheduleAdjustment(DictLike):
    """One schedule that was changed.

    Args:
        task_id: Its task.
        ref: Canonical text of the target: the task's id, and its arguments if it has any.
        frequency: Reads per minute.
        interval_minutes: How often it is refreshed from now on; None if it is left to lapse.
        previous_interval_minutes: How often it was refreshed until now; None if it was left to lapse.
        reason: Why.
    """

    task_id: str
    ref: str
    frequency: float
    interval_minutes: float | None
    previous_interval_minutes: float | None
    reason: str


class Optimization(DictLike):
    """What `optimize_warming_schedules` changed.

    Args:
        tasks_optimized: How many schedules.
        schedules_adjusted: Each of them, the most read first.
    """

    tasks_optimized: int
    schedules_adjusted: list[ScheduleAdjustment]
