"""Plans: which refreshes are coming, why, what they cost, and which of them the workers have no capacity for.

`take_snapshot` reads the present state from Redis and changes nothing; `rehearse` simulates the time ahead with the
policy that production follows; `plan_of` adds up the result.
"""

from warmer.errors import InvalidTaskError, UnknownTaskError
from warmer.planning.planned import Plan, PlannedExecutor, PlannedLimit, PlannedTarget, PlannedTask
from warmer.planning.rehearsal import rehearse
from warmer.planning.snapshot import Progress, take_snapshot
from warmer.planning.summary import plan_of
from warmer.settings import Settings
from warmer.store import Store

__all__ = [
    "Plan",
    "PlannedExecutor",
    "PlannedLimit",
    "PlannedTarget",
    "PlannedTask",
    "make_plan",
]

MAX_MINUTES = 1440.0


def make_plan(
    store: Store,
    settings: Settings,
    minutes: float,
    task_id: str | None = None,
    progress: Progress = lambda done, total: None,
) -> Plan:
    """Return the refreshes of the coming minutes; nothing is run or changed.

    Args:
        store: Where the state is read.
        settings: The tick, and the fleet's budget.
        minutes: How far to look ahead, up to a day.
        task_id: Shows this task alone; all when not given.
        progress: Called with the number of targets read so far, and of all.

    Raises:
        InvalidTaskError: the minutes are out of range.
        UnknownTaskError: no such task is registered, or it is disabled.
        redis.RedisError: Redis did not answer.
    """
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 < minutes <= MAX_MINUTES:
        raise InvalidTaskError(f"minutes must be a number above 0 and at most {MAX_MINUTES:g}, got {minutes!r}")
    snapshot = take_snapshot(store, settings, 60.0 * minutes, progress)
    if task_id is not None and task_id not in snapshot.tasks:
        raise UnknownTaskError(f"expected the id of an enabled task, got {task_id!r}; `warmer stats` shows them")
    return plan_of(snapshot, rehearse(snapshot, snapshot.now_s + 60.0 * minutes), task_id)
