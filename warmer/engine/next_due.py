"""Next due time of a target after a refresh, and the outcome that is recorded in Redis."""

import random
from typing import NamedTuple

from warmer import policy
from warmer.codec.entry import Origin
from warmer.refresh.refreshed import Refreshed
from warmer.settings import Settings
from warmer.store import DueKind, Outcome, Result, Timing
from warmer.tasks.task import WarmingTask

BUSY_RETRY_MS = 1000
MAX_FAILURES = 5
"""Failures in a row after which a target is refreshed only if its reads justify it."""

JUDGEMENT_GRACE_S = 5.0
"""Time after the flush interval until a refresh is judged as wasted, because counted reads arrive in batches."""

FAILED = (Result.FAILED, Result.CRASHED)


class NextDue(NamedTuple):
    """Next due time of a target.

    Args:
        kind: "at" (ms since the epoch), "in" (ms from now) or "never"; "review" and "review_in" likewise, for a review
            that decides on the refresh.
        ms: The time in ms.
    """

    kind: DueKind
    ms: int = 0


def outcome_of(refreshed: Refreshed, token: str, due: NextDue, settings: Settings) -> Outcome:
    """Return the outcome of a refresh, as Redis records it.

    Args:
        refreshed: The end of the refresh.
        token: The claim's token; "" without a claim.
        due: The next due time.
        settings: The flush interval of reads.
    """
    is_warm = refreshed.origin is Origin.WARM
    judged = is_warm and refreshed.result is Result.PUBLISHED and refreshed.ref != ""
    return Outcome(
        refreshed.ref,
        token,
        refreshed.result,
        "warm" if is_warm else "miss",
        due.kind,
        due.ms,
        refreshed.duration_ms,
        refreshed.computed_at_ms,
        refreshed.error,
        refreshed.computed_at_ms if judged else None,
        refreshed.fresh_until_ms + round(1000 * (settings.flush_s + JUDGEMENT_GRACE_S)),
        refreshed.fresh_until_ms,
    )


def next_due(task: WarmingTask, timing: Timing, refreshed: Refreshed, failures: int, settings: Settings) -> NextDue:
    """Return when a target is due or reviewed next.

    Args:
        task: The target's task.
        timing: The task's compute and waiting times, and the fleet's switch.
        refreshed: The end of the refresh.
        failures: Failures in a row before it.
        settings: The tick.
    """
    if refreshed.result is Result.BUSY:
        return NextDue("in", BUSY_RETRY_MS)
    if refreshed.result is Result.LOST:
        return NextDue("in")
    if refreshed.result in FAILED:
        if failures + 1 >= MAX_FAILURES and not policy.is_kept_warm(task, timing.switch):
            return NextDue("review_in", round(1000 * task.ttl))
        return due_after_failure(failures)
    if refreshed.result is Result.PUBLISHED and refreshed.duration_ms >= 1000 * task.ttl:
        # The value was stale when it was written: pause, so that it is not computed all the time.
        return NextDue("in", round(refreshed.duration_ms))
    slowest_s = max(timing.compute_p95_s, refreshed.duration_ms / 1000)
    lead_s = policy.lead_s(slowest_s, timing.queue_wait_s, settings.tick_s, task.ttl)
    due_s = policy.next_due_s(
        task, timing.switch, lead_s, refreshed.computed_at_ms / 1000, refreshed.fresh_until_ms / 1000
    )
    if due_s is None:
        return NextDue("never")
    return NextDue("review" if policy.is_reviewed(task, timing.switch) else "at", round(1000 * due_s))


def due_after_rejection(failures: int) -> NextDue:
    """Return when a target is due that no worker can compute: with backoff, then never."""
    return NextDue("never") if failures + 1 >= MAX_FAILURES else due_after_failure(failures)


def due_after_failure(failures: int) -> NextDue:
    """Return when a target is due after one more failure: with backoff."""
    return NextDue("in", round(1000 * policy.retry_delay_s(failures + 1, random.random())))
