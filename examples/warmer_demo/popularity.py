"""Popularity of dashboards: a steady front page, and a few favourite reports that change over time."""

from __future__ import annotations

import random
from collections.abc import Sequence

FRONT_PAGE_SHARE = 0.3
"""Part of all reads that goes to the front page, evenly."""

FALL_OFF = 0.5
"""Ratio of reads between a report and the next more popular one."""

SHIFT_EVERY_S = 12.0
SHIFT_PLACES = 3
"""Number of favourites that fall to the end at each shift; all others move up."""


def ranking(reports: Sequence[str], elapsed_s: float) -> list[str]:
    """Return the reports by popularity at a moment, the favourite first.

    Args:
        reports: All reports in any order.
        elapsed_s: Seconds since the first read.
    """
    order = sorted(reports)
    random.Random(2013).shuffle(order)
    fallen = int(elapsed_s // SHIFT_EVERY_S) * SHIFT_PLACES % len(order)
    return order[fallen:] + order[:fallen]


def weights(count: int) -> list[float]:
    """Return the share of reads of each rank; the sum is 1."""
    falling = [FALL_OFF**place for place in range(count)]
    return [weight / sum(falling) for weight in falling]


def pick(front_page: Sequence[str], reports: Sequence[str], elapsed_s: float, rng: random.Random) -> str:
    """Choose the dashboard that a user opens at a moment."""
    if rng.random() < FRONT_PAGE_SHARE:
        return rng.choice(front_page)
    return rng.choices(ranking(reports, elapsed_s), weights(len(reports)))[0]
