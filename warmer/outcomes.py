"""What a refresh means for its target: when it is due again, and how it is judged. Pure functions of what is known."""

import random
from typing import Literal, NamedTuple

from warmer import policy
from warmer.entry import Origin
from warmer.publication import Refreshed
from warmer.settings import Settings
from warmer.store import Demand, Outcome, Result
from warmer.task import WarmingTask

BUSY_RETRY_MS = 1000
GIVE_UP_AFTER = 5
"""Failures in a row after which a target that nobody reads is left alone."""

JUDGEMENT_GRACE_S = 5.0
"""Reads are flushed in batches: a refresh is judged wasted only when the last of them has surely arrived."""

FAILED = (Result.FAILED, Result.CRASHED)


class Due(NamedTuple):
    """When a target is due next.

    Args:
        kind: "at" ms since the epoch, "in" ms from now, or "never".
        ms: That number of ms.
    """

    kind: Literal["at", "in", "never"]
    ms: int = 0


def outcome_of(ref: str, token: str, origin: Origin, refreshed: Refreshed, due: Due, settings: Settings) -> Outcome:
    """Return what is recorded of a refresh.

    Args:
        ref: Canonical text of the target; "" for a key without a task.
        token: The claim's token; "" without a claim.
        origin: Who computed.
        refreshed: How it ended.
        due: When the target is due next.
        settings: How often reads are flushed.
    """
    is_warm = origin is Origin.WARM
    judged = is_warm and refreshed.result is Result.PUBLISHED and ref != ""
    return Outcome(
        ref,
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
    )


def next_due(task: WarmingTask, demand: Demand, refreshed: Refreshed, failures: int, settings: Settings) -> Due:
    """Return when a target is due again.

    Args:
        task: The target's task.
        demand: What is known of its reads, and of how long it takes.
        refreshed: How the refresh ended.
        failures: Failures in a row before it.
        settings: The tick and the threshold.
    """
    if refreshed.result is Result.BUSY:
        return Due("in", BUSY_RETRY_MS)
    if refreshed.result is Result.LOST:
        return Due("in")
    slowest_s = max(demand.compute_p95_s, refreshed.duration_ms / 1000)
    lead_s = policy.lead_s(slowest_s, demand.queue_wait_s, settings.tick_s, task.ttl)
    prospect = policy.Prospect(demand.reads_per_s, lead_s, settings.refresh_threshold)
    if refreshed.result in FAILED:
        if failures + 1 >= GIVE_UP_AFTER and not policy.is_wanted(task, demand.switch, prospect):
            return Due("never")
        return due_after_failure(failures)
    if refreshed.result is Result.PUBLISHED and refreshed.duration_ms >= 1000 * task.ttl:
        return Due("in", round(refreshed.duration_ms))  # stale as soon as it was there: no computing without a pause
    due_s = policy.next_due_s(
        task, demand.switch, prospect, refreshed.computed_at_ms / 1000, refreshed.fresh_until_ms / 1000
    )
    return Due("never") if due_s is None else Due("at", round(1000 * due_s))


def due_after_refusal(failures: int) -> Due:
    """Return when a target is due again that cannot be computed at all: later and later, and then never."""
    return Due("never") if failures + 1 >= GIVE_UP_AFTER else due_after_failure(failures)


def due_after_failure(failures: int) -> Due:
    """Return when a target is due again that has failed once more."""
    return Due("in", round(1000 * policy.retry_delay_s(failures + 1, random.random())))
