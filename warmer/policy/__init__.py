"""What decides: when a target is due, whether a refresh is worth it, and for how long it is fresh.

Pure functions and plain objects: no clock, no Redis. Production, plans and simulations use the same.
"""

from warmer.policy.due import (
    FIRST_RETRY_S,
    LONGEST_LEAD,
    LONGEST_RETRY_S,
    heat_reads_per_s,
    is_kept_warm,
    is_reviewed,
    jittered_ttl_s,
    lead_s,
    next_cron_s,
    next_due_s,
    retry_delay_s,
)

__all__ = [
    "FIRST_RETRY_S",
    "LONGEST_LEAD",
    "LONGEST_RETRY_S",
    "heat_reads_per_s",
    "is_kept_warm",
    "is_reviewed",
    "jittered_ttl_s",
    "lead_s",
    "next_cron_s",
    "next_due_s",
    "retry_delay_s",
]
