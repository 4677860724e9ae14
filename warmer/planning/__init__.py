"""What would be refreshed within some time, and why, what it costs, and what the workers have no room for.

`take_snapshot` looks at what stands in Redis, and changes nothing; `rehearse` plays the time through with the policy
that production follows; `plan_of` adds up what that has shown.
"""

from warmer.errors import InvalidTaskError, UnknownTaskError
from warmer.planning.planned import Plan, PlannedBackend, PlannedPlaces, PlannedTarget, PlannedTask
from warmer.planning.rehearsal import rehearse
from warmer.planning.snapshot import Progress, take_snapshot
from warmer.planning.summary import plan_of
from warmer.settings import Settings
from warmer.store import Store

__all__ = [
    "Plan",
    "PlannedBackend",
    "PlannedPlaces",
    "PlannedTarget",
    "PlannedTask",
    "make_plan",
]

LONGEST_MINUTES = 1440.0


def make_plan(
    store: Store,
    settings: Settings,
    minutes: float,
    task_id: str | None = None,
    progress: Progress = lambda done, total: None,
) -> Plan:
    """Return what would be refreshed within some time; nothing is run or changed.

    Args:
        store: Where to look.
        settings: The tick, and the fleet's knob.
        minutes: How far to look ahead, up to a day.
        task_id: Of the one task that is wanted; all when not given.
        progress: Takes how many targets were looked at, and how many will be.

    Raises:
        InvalidTaskError: the minutes cannot be used.
        UnknownTaskError: no such task is registered, or it is disabled.
        redis.RedisError: Redis did not answer.
    """
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 < minutes <= LONGEST_MINUTES:
        raise InvalidTaskError(f"minutes must be a number above 0 and at most {LONGEST_MINUTES:g}, got {minutes!r}")
    outlook = take_snapshot(store, settings, 60.0 * minutes, progress)
    if task_id is not None and task_id not in outlook.tasks:
        raise UnknownTaskError(f"expected the id of an enabled task, got {task_id!r}; `warmer stats` shows them")
    return plan_of(outlook, rehearse(outlook, outlook.now_s + 60.0 * minutes), task_id)
