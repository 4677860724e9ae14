"""What decides: when a target is due, whether a refresh is worth it, and for how long it is fresh.

Pure functions and plain objects: no clock, no Redis. Production, plans and simulations use the same.

When a target comes due, a `Reviewer` looks at its `History`, learns from what came of the decision before, asks its
`Model` for the chance of a read within the next ttl, and has it refreshed if that is worth the `Threshold`. The price
is moved so that a knob is held, and knows what every other setting of the knob would do.
"""

from warmer.policy.budget import Budget, ComputeBudget, ExtraCompute, TargetHitRatio
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
from warmer.policy.history import HISTORY_BYTES, History
from warmer.policy.model import Model
from warmer.policy.review import Decision, Reviewer
from warmer.policy.season import Season
from warmer.policy.spending import Spent
from warmer.policy.threshold import Threshold
from warmer.policy.what_if import Point

__all__ = [
    "FIRST_RETRY_S",
    "HISTORY_BYTES",
    "LONGEST_LEAD",
    "LONGEST_RETRY_S",
    "Budget",
    "ComputeBudget",
    "Decision",
    "ExtraCompute",
    "History",
    "Model",
    "Point",
    "Reviewer",
    "Season",
    "Spent",
    "TargetHitRatio",
    "Threshold",
    "heat_reads_per_s",
    "is_kept_warm",
    "is_reviewed",
    "jittered_ttl_s",
    "lead_s",
    "next_cron_s",
    "next_due_s",
    "retry_delay_s",
]
