"""Why a target is refreshed, or is not: one line for people."""

from warmer.policy.model import chance_of
from warmer.policy.review import Decision
from warmer.policy.threshold import Threshold

ASKED = "asked for by hand"
CLAIMED = "is being computed"
READY = "waits for a worker"
DUE = "due"
FIRST = "has no value yet"
CRITICAL = "critical"

OFF = "warming is switched off"
PATTERN_OFF = "refreshing by reads is switched off"
UNKNOWN = "its task is disabled, or not registered any more"
QUARANTINED = "in quarantine: it killed its processes"
FORGOTTEN = "nothing is remembered of its reads"
STILL_FRESH = "its value is fresh, which is all that was wanted"


def critical(cron: str | None) -> str:
    """Return why a target is kept warm whatever its reads.

    Args:
        cron: The cron line that has brought the refresh forward, if one has.

    Example:
        >>> critical("0 6 * * *")
        'critical, by its cron line 0 6 * * *'
    """
    return CRITICAL if cron is None else f"{CRITICAL}, by its cron line {cron}"


def retry(failures: int) -> str:
    """Return why a target that failed is computed again.

    Example:
        >>> retry(1), retry(3)
        ('tried again after a failure', 'tried again after 3 failures')
    """
    return "tried again after a failure" if failures == 1 else f"tried again after {failures} failures"


def decided(verdict: Decision, price: Threshold) -> str:
    """Return what a decision was based on.

    Args:
        verdict: The decision.
        price: What a refresh had to be worth.

    Example:
        >>> from warmer.policy.budget import ExtraCompute
        >>> decided(Decision(True, 60.0, 0.834), Threshold(ExtraCompute(0.25)))
        'chance of a read 83 %, worth it from 43 %'
        >>> decided(Decision(False, None, 0.0), Threshold(ExtraCompute(0.25)))
        'nobody has read it for long'
    """
    if verdict.next_review_s is None:
        return "nobody has read it for long"
    weighed = f"chance of a read {100 * verdict.chance:.0f} %, worth it from {100 * chance_of(price.log_odds):.0f} %"
    return f"{weighed}, but more than allowed is spent" if price.is_cut_off and not verdict.refresh else weighed
