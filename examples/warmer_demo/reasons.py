"""The policy's decision about a dashboard, in words."""

from __future__ import annotations

import math

from .snapshot import Target


def chance(target: Target) -> float:
    """Return the chance of a read within one ttl, from 0 to 1, for reads at random moments."""
    return -math.expm1(-target.reads_per_s * target.ttl_s)


def why(target: Target, threshold: float) -> str:
    """Return why a dashboard is kept warm, or not.

    Args:
        target: The dashboard.
        threshold: The chance of a read within one ttl from which on a refresh is worth it.
    """
    if target.is_requested:
        return "on demand"
    if target.is_critical:
        return "critical"
    if target.reads_per_s == 0:
        return "not read: expires" if target.state == "expiring" else "new: warmed once"
    is_worth_it = chance(target) >= threshold
    if target.state == "expiring":
        return "read again: returns" if is_worth_it else "rarely read: expires"
    return "read often" if is_worth_it else "rarely read: expires soon"
