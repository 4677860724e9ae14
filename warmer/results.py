"""What the functions return: typed models that also read like the dicts they are documented as."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict


class DictLike(BaseModel):
    """A model whose fields can also be read as items.

    Example:
        >>> UserWarming(user_id="42", requested=["profile"], skipped=[])["user_id"]
        '42'
    """

    model_config = ConfigDict(frozen=True)

    def __getitem__(self, name: str) -> Any:
        """Return a field by name.

        Raises:
            KeyError: there is no such field.
        """
        if name not in type(self).model_fields:
            raise KeyError(name)
        return getattr(self, name)

    def __contains__(self, name: object) -> bool:
        """Say whether there is a field of this name."""
        return name in type(self).model_fields

    def __len__(self) -> int:
        """Return the number of fields."""
        return len(type(self).model_fields)

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]  # as a dict iterates, over the names
        """Iterate over the names of the fields."""
        return iter(type(self).model_fields)

    def keys(self) -> list[str]:
        """Return the names of the fields."""
        return list(type(self).model_fields)

    def values(self) -> list[Any]:
        """Return the values of the fields."""
        return [getattr(self, name) for name in type(self).model_fields]

    def items(self) -> list[tuple[str, Any]]:
        """Return the fields as pairs of name and value."""
        return list(zip(self.keys(), self.values(), strict=True))

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field by name, or the default when there is none."""
        return getattr(self, name) if name in type(self).model_fields else default


class WarmingPerformance(DictLike):
    """How warming does, over the whole fleet.

    Durations are of computations that ended in a published value; percentiles are over the latest 1,000 of them.

    Args:
        total_warmings: Values that warming has published.
        failed: Computations that failed.
        avg_duration_ms: Mean duration; 0.0 before the first.
        fastest_ms: Shortest duration.
        slowest_ms: Longest duration.
        p50_ms: Median of the latest.
        p95_ms: What 95 of 100 of the latest stayed under.
        p99_ms: What 99 of 100 of the latest stayed under.
        efficiency_score: 100 * useful / judged, from 0.0 to 100.0; 0.0 while nothing was judged. A refresh is useful
            if a user read its value after the moment the previous one would have expired, else wasted.
        judged: Refreshes judged so far.
        useful: Those among them that were useful.
        hit_ratio: Reads that were hits, from 0.0 to 1.0; 0.0 before the first read.
        stale_hits: Hits among them that got a stale value, while it was renewed or because it could not be.
    """

    total_warmings: int
    failed: int
    avg_duration_ms: float
    fastest_ms: float
    slowest_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    efficiency_score: float
    judged: int
    useful: int
    hit_ratio: float
    stale_hits: int


class TaskDetail(DictLike):
    """One task, as the statistics show it.

    Args:
        task_id: Its id.
        name: What people call it.
        enabled: Whether it is warmed at all.
        priority: Higher first.
        is_critical: Whether it is kept warm whatever its reads.
        run_count: Values that warming has published for it.
        fail_count: Computations that failed.
        avg_duration_ms: Mean duration; 0.0 before the first.
        last_run: When it was last computed by warming.
        next_run: When it is due next; None if it is left to lapse.
        last_error: What its last computation failed with; None if it succeeded.
        hits: Reads that found it.
        misses: Reads that did not.
    """

    task_id: str
    name: str
    enabled: bool
    priority: int
    is_critical: bool
    run_count: int
    fail_count: int
    avg_duration_ms: float
    last_run: datetime | None
    next_run: datetime | None
    last_error: str | None
    hits: int
    misses: int


class QuarantinedTarget(DictLike):
    """What workers compute no more, because it killed the processes that computed it; readers still compute it.

    Args:
        name: A target's ref, or a task's id for all its targets.
        since: Since when.
        deaths: How many processes died with it.
        error: How the last one ended.
    """

    name: str
    since: datetime
    deaths: int
    error: str


class LimitUse(DictLike):
    """How much of a declared limit is used at this moment.

    Args:
        name: Its name, as tasks give it with `uses`.
        concurrency: Computations at once; None without such a limit.
        in_use: Computations that workers run under it; a batch is one.
        readers: Computations that readers run under it; they never wait for it, and workers hold back for them.
        rate_per_s: Computations begun per second, on average; None without such a limit.
        may_begin: How many the rate lets begin now; below 0 while readers have begun more than it allows; None without
            a rate.
    """

    name: str
    concurrency: int | None
    in_use: int
    readers: int
    rate_per_s: float | None
    may_begin: float | None


class WarmingStats(DictLike):
    """The state of the whole fleet.

    Args:
        tasks: Registered tasks.
        critical_keys: Enabled critical tasks.
        running: Whether warming is on and a scheduler is alive.
        users_preloaded: Calls of `warm_user_data_optimized` that asked for anything.
        performance: How warming does.
        task_details: Each task, highest priority first.
        workers: Workers alive.
        scheduler_alive: Whether a scheduler is alive.
        backlog: Targets that wait for a worker.
        incidents: What went wrong so far, by kind: `read_errors` (reads that Redis did not answer), `dropped_reads`
            (not counted, too many keys), `unrecorded_misses` (computed, but not recorded, too many), `lapsed_claims`
            (their workers died or stalled), `lost_leases` (values not written: invalidated meanwhile, or computed by
            another), `crashes` (computations that killed the process of their own in which they ran).
        quarantined: What workers compute no more, the latest first; `release_quarantined` lets it go.
        limits: Each declared limit, by name.
    """

    tasks: int
    critical_keys: int
    running: bool
    users_preloaded: int
    performance: WarmingPerformance
    task_details: list[TaskDetail]
    workers: int
    scheduler_alive: bool
    backlog: int
    incidents: dict[str, int]
    quarantined: list[QuarantinedTarget]
    limits: list[LimitUse]


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
    """How one target fared that workers were asked to warm.

    Args:
        ref: Canonical text of the target.
        success: Whether a fresh value is cached now.
        result: "published", "fresh" (one was there already), or "failed".
        duration_ms: How long the computation took; 0.0 if none was needed.
        error: What went wrong, if it failed.
    """

    ref: str
    success: bool
    result: str
    duration_ms: float
    error: str | None

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "WarmOutcome":
        """Return the outcome that was told to those who wait."""
        success = told["result"] in ("published", "fresh")
        return cls(
            ref=told["ref"],
            success=success,
            result=told["result"],
            duration_ms=told["duration_ms"],
            error=None if success else told["error"],
        )


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
