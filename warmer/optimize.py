"""Applies what reads have taught: who is refreshed, and how often."""

import logging
from collections.abc import Mapping
from typing import Any

from warmer import policy
from warmer.errors import WarmerError
from warmer.results import Optimization, ScheduleAdjustment
from warmer.settings import Settings
from warmer.store import Hot, Store
from warmer.switch import Switch
from warmer.task import WarmingTask, parse_ref

logger = logging.getLogger("warmer.optimize")


def follow_reads(store: Store, settings: Settings) -> list[ScheduleAdjustment]:
    """Bring back targets that lapsed and are read again, and let go those whose reads no longer merit it.

    Critical targets are left alone: they are kept warm whatever their reads, unless that is switched off.

    Args:
        store: Where reads and schedules are.
        settings: How many targets to look at, and the threshold.

    Returns:
        The schedules that were changed, the most read first.

    Raises:
        redis.RedisError: Redis did not answer.
    """
    switch = store.switch()
    now_ms, hottest = store.hottest(settings.hottest)
    task_ids = [parse_ref(hot.ref)[0] for hot in hottest]
    adjusted = []
    for hot, definition in zip(hottest, store.definitions_of(task_ids), strict=True):
        task = _task_of(definition)
        if task is None or (task.is_always_warm and switch.critical) or hot.standing == "busy":
            continue
        adjustment = _adjusted(store, settings, switch, task, hot, now_ms)
        if adjustment is not None:
            adjusted.append(adjustment)
    return adjusted


def optimize(store: Store, settings: Settings) -> Optimization:
    """Apply what reads have taught, now, and say what changed.

    Raises:
        redis.RedisError: Redis did not answer.
    """
    adjusted = follow_reads(store, settings)
    return Optimization(tasks_optimized=len(adjusted), schedules_adjusted=adjusted)


def _adjusted(
    store: Store, settings: Settings, switch: Switch, task: WarmingTask, hot: Hot, now_ms: int
) -> ScheduleAdjustment | None:
    (demand,) = store.demands([hot.ref])
    lead_s = policy.lead_s(demand.compute_p95_s, demand.queue_wait_s, settings.tick_s, task.ttl)
    wanted = policy.is_wanted(task, switch, policy.Prospect(hot.reads_per_s, lead_s, settings.refresh_threshold))
    if wanted == (hot.standing is not None):
        return None
    if not store.reschedule(hot.ref, now_ms if wanted else None):
        return None
    interval_minutes = (task.ttl - lead_s) / 60 if wanted else None
    logger.info(
        "%s is read %.2f times a minute: %s",
        hot.ref,
        60 * hot.reads_per_s,
        "let go" if interval_minutes is None else f"refreshed every {interval_minutes:.1f} minutes",
    )
    return ScheduleAdjustment(task_id=task.task_id, frequency=60 * hot.reads_per_s, interval_minutes=interval_minutes)


def _task_of(definition: Mapping[str, Any] | None) -> WarmingTask | None:
    if definition is None:
        return None
    try:
        return WarmingTask.from_definition(definition)
    except WarmerError as error:  # written by another version
        logger.warning("a definition cannot be read and is left alone: %s", error)
        return None
