"""Why a dashboard is warmed, or is not: what the policy decides, in words."""

from __future__ import annotations

import math

from .snapshot import Target


def chance(target: Target) -> float:
    """Tell how likely a read of the dashboard within one ttl is, from 0 to 1, were reads to come at random."""
    return -math.expm1(-target.reads_per_s * target.ttl_s)


def why(target: Target, threshold: float) -> str:
    """Say why a dashboard is being kept warm, or let go.

    Args:
        target: The dashboard.
        threshold: The chance of a read within one ttl that makes a refresh worth it.
    """
    if target.is_requested:
        return "by request"
    if target.is_critical:
        return "critical"
    if target.reads_per_s == 0:
        return "not read: let go" if target.standing == "lapsing" else "new: warmed once"
    is_worth_it = chance(target) >= threshold
    if target.standing == "lapsing":
        return "read again: comes back" if is_worth_it else "hardly read: let go"
    return "read often" if is_worth_it else "hardly read: goes soon"
