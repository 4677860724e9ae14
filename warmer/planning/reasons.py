"""Texts of a plan: the reason why a target is refreshed, or is not."""

from warmer.policy.model import chance_of
from warmer.policy.review import Decision
from warmer.policy.threshold import Threshold

REQUESTED = "requested on demand"
CLAIMED = "being computed"
READY = "waits for a worker"
DUE = "due"
FIRST = "has no value yet"
CRITICAL = "critical"

OFF = "warming is switched off"
PATTERN_OFF = "refreshing by reads is switched off"
UNKNOWN = "its task is disabled, or no longer registered"
QUARANTINED = "in quarantine: it crashed its processes"
NO_HISTORY = "no history of its reads"
STILL_FRESH = "its value is still fresh"
UNREAD = "not read for a long time"


def critical(cron: str | None) -> str:
    """Return the reason of a target that is kept warm regardless of reads.

    Args:
        cron: The cron line that has brought the refresh forward, if one has.

    Example:
        >>> critical("0 6 * * *")
        'critical, by its cron line 0 6 * * *'
    """
    return CRITICAL if cron is None else f"{CRITICAL}, by its cron line {cron}"


def retry(failures: int) -> str:
    """Return the reason of a target that failed before.

    Example:
        >>> retry(1), retry(3)
        ('retry after a failure', 'retry after 3 failures')
    """
    return "retry after a failure" if failures == 1 else f"retry after {failures} failures"


def decided(decision: Decision, threshold: Threshold) -> str:
    """Return the reason of a decision under a threshold.

    Example:
        >>> from warmer.policy.budget import ExtraCompute
        >>> decided(Decision(True, 60.0, 0.834), Threshold(ExtraCompute(0.25)))
        'chance of a read 83 %, threshold 43 %'
    """
    if decision.next_review_s is None:
        return UNREAD
    weighed = f"chance of a read {100 * decision.chance:.0f} %, threshold {100 * chance_of(threshold.log_odds):.0f} %"
    return f"{weighed}, but the budget is exceeded" if threshold.is_cut_off and not decision.refresh else weighed
