"""The plan that `Warmer.plan` returns: its targets, tasks, limits and executors."""

from datetime import datetime
from typing import Literal

from warmer.results import DictLike


class Plan(DictLike):
    """The refreshes of the coming minutes, if nobody reads meanwhile. Making it changes nothing.

    Args:
        now: When it was made.
        minutes: How far it looks ahead.
        is_on: Whether warming is on.
        scheduler_alive: Whether a scheduler is alive: without one, only targets that are ready or due are computed.
        workers: Workers alive.
        targets_found: Targets that are planned or in progress, up to that time.
        targets_looked_at: How many of them the plan covers: not all if there are too many.
        refreshes: How many refreshes begin.
        compute_s: Their compute seconds.
        tasks: Totals of each task, highest priority first.
        limits: Totals of each limit, the largest first.
        executors: Totals of each kind of executor.
        targets: Each target, in the order of first refreshes; those without one come last.
    """

    now: datetime
    minutes: float
    is_on: bool
    scheduler_alive: bool
    workers: int
    targets_found: int
    targets_looked_at: int
    refreshes: int
    compute_s: float
    tasks: list["PlannedTask"]
    limits: list["PlannedLimit"]
    executors: list["PlannedExecutor"]
    targets: list["PlannedTarget"]

    @property
    def not_kept_warm(self) -> list["PlannedTarget"]:
        """The targets that cannot be kept warm with the present workers, lowest priority first."""
        return sorted(
            (target for target in self.targets if target.problem is not None),
            key=lambda target: (target.priority, -target.late, target.ref),
        )


class PlannedTarget(DictLike):
    """The refreshes of one target.

    Args:
        task_id: Its task.
        ref: Its canonical text: the task's id, and its arguments if it has any.
        priority: Higher first.
        first: When its first refresh begins; None if none does.
        refreshes: How many begin.
        compute_s: Their compute seconds.
        reason: Why it is refreshed, or is not.
        late: Refreshes that end after the present value has expired, for lack of capacity or of time.
        problem: Why it cannot be kept warm with the present workers; None if it can, or need not.
    """

    task_id: str
    ref: str
    priority: int
    first: datetime | None
    refreshes: int
    compute_s: float
    reason: str
    late: int
    problem: str | None


class PlannedTask(DictLike):
    """The refreshes of one task.

    Args:
        task_id: Its id.
        priority: Higher first.
        limit: The limit that its computations are under; None for none.
        targets: Its targets in the plan.
        refreshed: How many of them are refreshed.
        refreshes: How many refreshes begin.
        compute_s: Their compute seconds.
        not_kept_warm: Targets that cannot be kept warm with the present workers.
    """

    task_id: str
    priority: int
    limit: str | None
    targets: int
    refreshed: int
    refreshes: int
    compute_s: float
    not_kept_warm: int


class PlannedLimit(DictLike):
    """The refreshes under one limit.

    Args:
        name: As tasks name it with `limit`; None for refreshes under no limit.
        refreshes: How many.
        compute_s: Their compute seconds.
        concurrency: Computations at once; None without such a limit.
        rate_per_s: Computations begun per second, on average; None without such a limit.
        available_s: Compute seconds that the concurrency allows in this time; None without one.
    """

    name: str | None
    refreshes: int
    compute_s: float
    concurrency: int | None
    rate_per_s: float | None
    available_s: float | None


class PlannedExecutor(DictLike):
    """The refreshes of one kind of executor, over all workers.

    Args:
        kind: "thread", "loop" for async functions, or "process" for isolated ones.
        capacity: How many computations all workers can run at once.
        compute_s: Compute seconds of the refreshes.
        available_s: Compute seconds that the capacity allows in this time.
    """

    kind: Literal["thread", "loop", "process"]
    capacity: int
    compute_s: float
    available_s: float
