"""Numbers that scripts and Python share; a script names those that it uses in ``@const`` lines of its header."""

from warmer.policy.due import MAX_LEAD_SHARE
from warmer.policy.history import ANSWERED, EPOCH_S, LAPSED, OPEN, SESSION_GAP, TO_REFRESH

MAX_QUEUE_WAIT_MS = 30_000
"""A longer wait for a worker says nothing about the next one, so it counts as this long."""

QUEUE_WAIT_DECAY = 0.9
"""The expected queue wait follows a longer wait at once and a shorter one slowly: this part of it stays."""

MAX_OWED_BURSTS = 10
"""Readers are never held up by a limit; they can run its token bucket into debt by at most this many bursts."""

ROUNDING = 1e-9
"""How much adding fractions of tokens may lose."""

STARVING_SHARE = 8
"""One call in this many goes to the targets that have waited longest, once they wait longer than `starvation_s`."""

REVIEWS_MARGIN = 1.25
"""Reviews per remembered history that are kept at most."""

ACCOUNT_FIELDS = ("reads", "misses", "miss_ms", "awaited", "refreshes", "warm_ms", "baseline_misses", "baseline_ms")
"""Sums of each account that pays for refreshes."""

CONSTANTS: dict[str, int | float | tuple[str, ...]] = {
    "ACCOUNT_FIELDS": ACCOUNT_FIELDS,
    "ANSWERED": ANSWERED,
    "EPOCH_MS": round(1000 * EPOCH_S),
    "LAPSED": LAPSED,
    "MAX_LEAD_SHARE": MAX_LEAD_SHARE,
    "MAX_OWED_BURSTS": MAX_OWED_BURSTS,
    "MAX_QUEUE_WAIT_MS": MAX_QUEUE_WAIT_MS,
    "OPEN": OPEN,
    "QUEUE_WAIT_DECAY": QUEUE_WAIT_DECAY,
    "REVIEWS_MARGIN": REVIEWS_MARGIN,
    "ROUNDING": ROUNDING,
    "SESSION_GAP": SESSION_GAP,
    "STARVING_SHARE": STARVING_SHARE,
    "TO_REFRESH": TO_REFRESH,
}
"""Every shared number by the name that scripts use."""
