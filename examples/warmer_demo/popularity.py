"""What people look at: the front page steadily, a few reports very often, most hardly ever, and not for long."""

from __future__ import annotations

import random
from collections.abc import Sequence

FRONT_PAGE_SHARE = 0.3
"""So much of all reads goes to the front page, evenly."""

FALL_OFF = 0.5
"""Each report is opened this many times as often as the one that is next more popular."""

SHIFT_EVERY_S = 12.0
SHIFT_PLACES = 3
"""At each shift so many favourites fall to the end, and all others move up."""


def ranking(reports: Sequence[str], elapsed_s: float) -> list[str]:
    """Order the reports by their popularity at this moment, the favourite first.

    Args:
        reports: All reports; their own order does not matter.
        elapsed_s: Seconds since the first read.
    """
    order = sorted(reports)
    random.Random(2013).shuffle(order)
    fallen = int(elapsed_s // SHIFT_EVERY_S) * SHIFT_PLACES % len(order)
    return order[fallen:] + order[:fallen]


def weights(count: int) -> list[float]:
    """Tell how often the reports of a ranking are opened, as parts of 1."""
    falling = [FALL_OFF**place for place in range(count)]
    return [weight / sum(falling) for weight in falling]


def pick(front_page: Sequence[str], reports: Sequence[str], elapsed_s: float, luck: random.Random) -> str:
    """Choose what somebody opens at this moment."""
    if luck.random() < FRONT_PAGE_SHARE:
        return luck.choice(front_page)
    return luck.choices(ranking(reports, elapsed_s), weights(len(reports)))[0]
