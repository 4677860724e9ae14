"""Refresh policy: when a target is due, whether a refresh is worth its cost, and how long a value is fresh.

Pure functions and plain objects, without clock and Redis, so that production, plans and simulations share them.

When a target comes due, a `Reviewer` reads its `History`, teaches the `Model` the outcome of the previous decision,
predicts the chance of a read within the next ttl, and decides to refresh if that chance reaches the `Threshold`. The
threshold follows a `Budget`, and its what-if curve shows what any other budget would do.
"""

from warmer.policy.budget import Budget, ComputeBudget, ExtraCompute, TargetHitRatio
from warmer.policy.due import (
    FIRST_RETRY_S,
    MAX_LEAD_SHARE,
    MAX_RETRY_S,
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
from warmer.policy.what_if import CurvePoint

__all__ = [
    "FIRST_RETRY_S",
    "HISTORY_BYTES",
    "MAX_LEAD_SHARE",
    "MAX_RETRY_S",
    "Budget",
    "ComputeBudget",
    "CurvePoint",
    "Decision",
    "ExtraCompute",
    "History",
    "Model",
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
