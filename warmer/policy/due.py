"""When a target is due next, and for how long it is fresh: pure functions of what is known now.

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
LONGEST_RETRY_S = 300.0
LONGEST_LEAD = 0.5
"""A lead never takes more than this part of the ttl, so that slow tasks do not refresh without end."""


def lead_s(compute_p95_s: float, queue_wait_s: float, tick_s: float, ttl_s: float) -> float:
    """Return how long before the end of freshness a refresh has to begin, to end in time.

    Args:
        compute_p95_s: What 95 of 100 computations of this task stay under.
        queue_wait_s: How long its targets wait between due and claimed.
        tick_s: How often the scheduler looks.
        ttl_s: The task's ttl; the lead takes at most half of it.

    Example:
        >>> lead_s(compute_p95_s=0.5, queue_wait_s=0.25, tick_s=1.0, ttl_s=60)
        1.75
    """
    return min(compute_p95_s + queue_wait_s + tick_s, LONGEST_LEAD * ttl_s)


def is_kept_warm(task: WarmingTask, switch: Switch) -> bool:
    """Say whether a task's target is refreshed whatever its reads: it is critical, and that is switched on."""
    return task.enabled and task.is_always_warm and switch.critical


def is_reviewed(task: WarmingTask, switch: Switch) -> bool:
    """Say whether a task's targets are refreshed as their reads merit: each is reviewed when its time comes."""
    return task.enabled and switch.pattern and not is_kept_warm(task, switch)


def next_due_s(
    task: WarmingTask, switch: Switch, lead_s: float, computed_at_s: float, fresh_until_s: float
) -> float | None:
    """Return when a target that has just been refreshed is due again, or is to be reviewed.

    That is `fresh_until - lead`; an interval (for critical tasks) or a cron line can only bring it forward.

    Args:
        task: The target's task.
        switch: What warming covers, and the interval.
        lead_s: How long before the end of freshness a refresh has to begin.
        computed_at_s: When the present value's computation began.
        fresh_until_s: Until when the present value is fresh.

    Returns:
        Seconds since the epoch; None to let the target lapse, as warming does not cover it.
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
    """Return the first moment after this one that a cron line names, in its time zone.

    Example:
        >>> next_cron_s("0 6 * * *", "UTC", after_s=0.0)
        21600.0
    """
    after = datetime.fromtimestamp(after_s, UTC).astimezone(ZoneInfo(timezone))
    return next(CronSim(cron, after)).timestamp()


def retry_delay_s(failures: int, luck: float) -> float:
    """Return how long to wait after the nth failure in a row: doubling, capped, and spread by luck.

    Args:
        failures: Failures in a row, 1 for the first.
        luck: A random number from 0 to 1, so that targets which failed together do not retry together.

    Returns:
        Between half and all of `min(2^(failures - 1), 300)` seconds.

    Example:
        >>> retry_delay_s(failures=3, luck=1.0)
        4.0
    """
    longest = min(FIRST_RETRY_S * 2.0 ** min(failures - 1, 30), LONGEST_RETRY_S)
    return longest * (0.5 + 0.5 * luck)


def jittered_ttl_s(ttl_s: float, jitter: float, cache_key: str) -> float:
    """Return for how long a value is fresh: its ttl, shortened by its key, always by the same part.

    Args:
        ttl_s: The task's ttl.
        jitter: By up to which part it is shortened, from 0 to 0.5.
        cache_key: Where the value is cached; spreads what was computed together, and would expire together.

    Returns:
        Above `(1 - jitter) * ttl_s`, at most `ttl_s`.

    Example:
        >>> jittered_ttl_s(100.0, jitter=0.0, cache_key="user:42")
        100.0
        >>> 95.0 < jittered_ttl_s(100.0, jitter=0.05, cache_key="user:42") <= 100.0
        True
    """
    return ttl_s * (1.0 - jitter * zlib.crc32(cache_key.encode()) / 2**32)


def heat_reads_per_s(heat: float, half_life_s: float) -> float:
    """Return the read rate that a decayed count of reads stands for.

    A steady rate r builds up the count r * half_life / ln 2.

    Example:
        >>> round(heat_reads_per_s(heat=1298.4, half_life_s=900.0), 2)
        1.0
    """
    return heat * math.log(2) / half_life_s
