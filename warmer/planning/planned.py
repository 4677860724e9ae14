"""What `Warmer.plan` returns."""

from datetime import datetime
from typing import Literal

from warmer.results import DictLike


class PlannedTarget(DictLike):
    """What becomes of one target.

    Args:
        task_id: Its task.
        ref: Its canonical text: the task's id, and its arguments if it has any.
        priority: Higher first.
        first: When its first refresh begins; None if none does.
        refreshes: How many begin.
        compute_s: What they take together, in seconds.
        why: Why it is refreshed, or is not.
        late: Refreshes that are not done by the time the present value expires, for want of room or of time.
        problem: Why it cannot be kept warm with the present workers; None if it can, or need not.
    """

    task_id: str
    ref: str
    priority: int
    first: datetime | None
    refreshes: int
    compute_s: float
    why: str
    late: int
    problem: str | None


class PlannedTask(DictLike):
    """What the targets of one task come to.

    Args:
        task_id: Its id.
        priority: Higher first.
        limit: The backend that its computations use, as it names it; None for none.
        targets: Its targets that were looked at.
        refreshed: Those of them that are refreshed.
        refreshes: How often.
        compute_s: What that takes, in seconds.
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


class PlannedBackend(DictLike):
    """What is asked of one backend.

    Args:
        name: As tasks name it with `limit`; None for what names none.
        refreshes: How many.
        compute_s: What they take, in seconds.
        concurrency: Computations at once; None without such a limit.
        rate_per_s: Computations begun per second, on average; None without such a limit.
        available_s: How many compute seconds its concurrency allows in this time; None without one.
    """

    name: str | None
    refreshes: int
    compute_s: float
    concurrency: int | None
    rate_per_s: float | None
    available_s: float | None


class PlannedPlaces(DictLike):
    """What is asked of the workers' places of one kind.

    Args:
        kind: "thread", "loop" for async functions, or "process" for isolated ones.
        places: How many computations all workers can do at once.
        compute_s: What is to be computed, in seconds.
        available_s: How many compute seconds the places have in this time.
    """

    kind: Literal["thread", "loop", "process"]
    places: int
    compute_s: float
    available_s: float


class Plan(DictLike):
    """What would be refreshed within some time, if nobody read anything meanwhile. Nothing was changed by looking.

    Args:
        now: When it was made.
        minutes: How far it looks ahead.
        is_on: Whether warming is on.
        scheduler_alive: Whether a scheduler is alive: without one, only what is ready or due is computed.
        workers: Workers alive.
        targets_found: Targets that stand somewhere, until then; more than were looked at if there are too many.
        targets_looked_at: Those of them that the plan is about.
        refreshes: How many refreshes begin.
        compute_s: What they take, in seconds.
        tasks: What comes to each task, highest priority first.
        backends: What is asked of each backend, the most first.
        places: What is asked of the workers.
        targets: Each target: what is refreshed first comes first, and what is not refreshed last.
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
    tasks: list[PlannedTask]
    backends: list[PlannedBackend]
    places: list[PlannedPlaces]
    targets: list[PlannedTarget]

    @property
    def not_kept_warm(self) -> list[PlannedTarget]:
        """The targets that cannot be kept warm with the present workers, lowest priority first."""
        return sorted(
            (target for target in self.targets if target.problem is not None),
            key=lambda target: (target.priority, -target.late, target.ref),
        )
