"""Next due time of a target, from how its refresh ended, and the outcome that is recorded of it."""

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
"""Failures in a row after which a target that nobody reads is left alone."""

JUDGEMENT_GRACE_S = 5.0
"""Reads are flushed in batches: a refresh is judged wasted only when the last of them has surely arrived."""

FAILED = (Result.FAILED, Result.CRASHED)


class NextDue(NamedTuple):
    """When a target is due next.

    Args:
        kind: "at" ms since the epoch, "in" ms from now, or "never"; "review" and "review_in": when it is to be decided
            whether it is refreshed.
        ms: That number of ms.
    """

    kind: DueKind
    ms: int = 0


def outcome_of(refreshed: Refreshed, token: str, due: NextDue, settings: Settings) -> Outcome:
    """Return what is recorded of a refresh.

    Args:
        refreshed: How it ended.
        token: The claim's token; "" without a claim.
        due: When the target is due next.
        settings: How often reads are flushed.
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
    """Return when a target is due again, or is reviewed.

    Args:
        task: The target's task.
        timing: What is known of how long it takes.
        refreshed: How the refresh ended.
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
        return NextDue(
            "in", round(refreshed.duration_ms)
        )  # stale as soon as it was there: no computing without a pause
    slowest_s = max(timing.compute_p95_s, refreshed.duration_ms / 1000)
    lead_s = policy.lead_s(slowest_s, timing.queue_wait_s, settings.tick_s, task.ttl)
    due_s = policy.next_due_s(
        task, timing.switch, lead_s, refreshed.computed_at_ms / 1000, refreshed.fresh_until_ms / 1000
    )
    if due_s is None:
        return NextDue("never")
    return NextDue("review" if policy.is_reviewed(task, timing.switch) else "at", round(1000 * due_s))


def due_after_rejection(failures: int) -> NextDue:
    """Return when a target is due again that no worker can compute: later each time, and then never."""
    return NextDue("never") if failures + 1 >= MAX_FAILURES else due_after_failure(failures)


def due_after_failure(failures: int) -> NextDue:
    """Return when a target is due again that has failed once more."""
    return NextDue("in", round(1000 * policy.retry_delay_s(failures + 1, random.random())))
