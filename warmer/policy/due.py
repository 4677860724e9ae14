"""Due times, retry backoff and ttl jitter: pure functions of `now`.

All times are seconds since the epoch, all durations seconds, all rates reads per second.
"""

import math
import zlib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim

from warmer.tasks.switch import Switch
from warmer.tasks.task import WarmingTask

FIRST_RETRY_S = 1.0
MAX_RETRY_S = 300.0
MAX_LEAD_SHARE = 0.5
"""A lead takes at most this part of the ttl, so that slow tasks are not refreshed without pause."""


def lead_s(compute_p95_s: float, queue_wait_s: float, tick_s: float, ttl_s: float) -> float:
    """Return how long before the end of freshness a refresh has to begin, to end in time.

    Args:
        compute_p95_s: The 95th percentile of this task's compute times.
        queue_wait_s: How long its targets wait between due and claimed.
        tick_s: The scheduler's interval.
        ttl_s: The task's ttl; the lead takes at most half of it.

    Example:
        >>> lead_s(compute_p95_s=0.5, queue_wait_s=0.25, tick_s=1.0, ttl_s=60)
        1.75
    """
    return min(compute_p95_s + queue_wait_s + tick_s, MAX_LEAD_SHARE * ttl_s)


def is_kept_warm(task: WarmingTask, switch: Switch) -> bool:
    """Return whether a task's targets are refreshed regardless of reads: it is critical, and that is switched on."""
    return task.enabled and task.is_always_warm and switch.critical


def is_reviewed(task: WarmingTask, switch: Switch) -> bool:
    """Return whether a task's targets are refreshed only if their reads justify it."""
    return task.enabled and switch.pattern and not is_kept_warm(task, switch)


def next_due_s(
    task: WarmingTask, switch: Switch, lead_s: float, computed_at_s: float, fresh_until_s: float
) -> float | None:
    """Return when a target is due, or reviewed, after a refresh; None if warming does not cover it, so that it lapses.

    That is `fresh_until - lead`; an interval (for critical tasks) or a cron line can only bring it forward.

    Args:
        task: The target's task.
        switch: What warming covers, and the interval.
        lead_s: How long before the end of freshness a refresh has to begin.
        computed_at_s: When the computation of the present value began.
        fresh_until_s: Until when the present value is fresh.
    """
    is_kept = is_kept_warm(task, switch)
    if not (is_kept or is_reviewed(task, switch)):
        return None
    moments = [fresh_until_s - lead_s]
    if is_kept:
        moments.append(computed_at_s + switch.interval_s)
    if task.cron is not None:
        moments.append(next_cron_s(task.cron, task.timezone, computed_at_s))
    return min(moments)


def next_cron_s(cron: str, timezone: str, after_s: float) -> float:
    """Return the first time after `after_s` that a cron line names, in its time zone.

    Example:
        >>> next_cron_s("0 6 * * *", "UTC", after_s=0.0)
        21600.0
    """
    after = datetime.fromtimestamp(after_s, UTC).astimezone(ZoneInfo(timezone))
    return next(CronSim(cron, after)).timestamp()


def retry_delay_s(failures: int, random_unit: float) -> float:
    """Return the delay after the nth failure in a row: exponential backoff with a cap, and jitter.

    Args:
        failures: Failures in a row, 1 for the first; `min(2^(failures - 1), 300)` seconds is the maximum.
        random_unit: A random number from 0 to 1: targets that failed together do not retry together.

    Example:
        >>> retry_delay_s(failures=3, random_unit=1.0)
        4.0
    """
    longest = min(FIRST_RETRY_S * 2.0 ** min(failures - 1, 30), MAX_RETRY_S)
    return longest * (0.5 + 0.5 * random_unit)


def jittered_ttl_s(ttl_s: float, jitter: float, cache_key: str) -> float:
    """Return how long a value is fresh: its ttl, shortened by a part that depends on its key alone.

    Values that were computed together thus do not expire together.

    Args:
        ttl_s: The task's ttl.
        jitter: The largest part by which it is shortened, from 0 to 0.5.
        cache_key: Where the value is cached.

    Example:
        >>> 95.0 < jittered_ttl_s(100.0, jitter=0.05, cache_key="user:42") <= 100.0
        True
    """
    return ttl_s * (1.0 - jitter * zlib.crc32(cache_key.encode()) / 2**32)


def heat_reads_per_s(heat: float, half_life_s: float) -> float:
    """Return the read rate of a decayed count of reads: a steady rate r builds up the count r * half_life / ln 2.

    Example:
        >>> round(heat_reads_per_s(heat=1298.4, half_life_s=900.0), 2)
        1.0
    """
    return heat * math.log(2) / half_life_s
