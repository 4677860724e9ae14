"""What people look at: a few dashboards very often, most of them hardly ever, and not the same ones for long."""

from __future__ import annotations

import random
from collections.abc import Sequence

FALL_OFF = 0.6
"""Each dashboard is opened this many times as often as the one that is next more popular."""

SHIFT_EVERY_S = 12.0
SHIFT_PLACES = 5
"""At each shift so many favourites fall to the end, and all others move up."""


def ranking(names: Sequence[str], elapsed_s: float) -> list[str]:
    """Order the dashboards by their popularity at this moment, the favourite first.

    Args:
        names: All dashboards; their own order does not matter.
        elapsed_s: Seconds since the first read.
    """
    order = sorted(names)
    random.Random(2013).shuffle(order)
    fallen = int(elapsed_s // SHIFT_EVERY_S) * SHIFT_PLACES % len(order)
    return order[fallen:] + order[:fallen]


def weights(count: int) -> list[float]:
    """Tell how often the dashboards of a ranking are opened, as parts of 1."""
    falling = [FALL_OFF**place for place in range(count)]
    return [weight / sum(falling) for weight in falling]


def pick(names: Sequence[str], elapsed_s: float, luck: random.Random) -> str:
    """Choose the dashboard that somebody opens at this moment."""
    return luck.choices(ranking(names, elapsed_s), weights(len(names)))[0]
