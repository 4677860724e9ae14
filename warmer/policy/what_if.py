"""What every other price would have done: misses against extra compute, drawn from the decisions that were taken.

Each decision stands for a stretch of time in which its target, left to lapse, would have been missed with the chance
that the model gave it, and, refreshed, would not. Where a miss comes at u ttls after the decision, the reader's value
lasts until 1 + u: a lapsing target is asked about once in 1 + p * E[u] ttls, a refreshed one once in each. That is why
even a sure read makes a refresh cost something: a Poisson target of rate r that is always refreshed takes
1 + 1 / (r * ttl) times the compute of a plain cache.
"""

import math
import struct
from itertools import accumulate
from typing import NamedTuple

from warmer.errors import PolicyStateError

LOWEST_LOG_ODDS, HIGHEST_LOG_ODDS = -8.0, 8.0
STEPS_PER_UNIT = 4.0
STEPS = int((HIGHEST_LOG_ODDS - LOWEST_LOG_ODDS) * STEPS_PER_UNIT)

_BYTES = struct.Struct(f"<{3 * STEPS}d")


class Point(NamedTuple):
    """What one price would do.

    Args:
        log_odds: Refresh what has at least these log-odds of a read within the next ttl.
        extra_compute: What warming would spend more than a plain cache, as a part of what that spends.
        miss_ratio: The part of reads that would begin a computation their user waits for.
        refresh_s_per_minute: Compute seconds of refreshes, a minute.
    """

    log_odds: float
    extra_compute: float
    miss_ratio: float
    refresh_s_per_minute: float


class Totals(NamedTuple):
    """What a plain cache did in the time that the decisions come from.

    Args:
        seconds: How long that was.
        reads: Reads by users.
        plain_misses: What a plain cache would have missed.
        plain_s: Compute seconds of those misses.
    """

    seconds: float
    reads: float
    plain_misses: float
    plain_s: float


class WhatIf:
    """Decisions by their log-odds: what refreshing would cost and avoid, and how much of it a plain cache would pay.

    Example:
        >>> what_if = WhatIf()
        >>> for _ in range(100):
        ...     _ = what_if.note(log_odds=2.0, chance=0.88, ttls=1.0, cost_s=0.5)
        >>> 1.9 < what_if.log_odds_at(what_if.refresh_s, amount=20.0) < 2.3
        True
    """

    __slots__ = ("avoided", "refresh_s", "saved_s")

    def __init__(self) -> None:
        """Begin without decisions."""
        self.refresh_s = [0.0] * STEPS
        self.saved_s = [0.0] * STEPS
        self.avoided = [0.0] * STEPS

    def note(self, log_odds: float, chance: float, ttls: float, cost_s: float) -> float:
        """Note a decision.

        Args:
            log_odds: Of a read within the next ttl.
            chance: The same as a chance.
            ttls: How long it is until the next decision on this target.
            cost_s: What its computation takes.

        Returns:
            How many misses a refresh avoids: less than the chance, as each would have bought more than one ttl.
        """
        step = int((log_odds - LOWEST_LOG_ODDS) * STEPS_PER_UNIT)
        step = 0 if step < 0 else STEPS - 1 if step >= STEPS else step
        avoided = chance / _TTLS_PER_MISS[step]
        self.refresh_s[step] += ttls * cost_s
        self.saved_s[step] += ttls * cost_s * avoided
        self.avoided[step] += ttls * avoided
        return avoided

    def fade(self, factor: float) -> None:
        """Let what was noted so far count less.

        Args:
            factor: From 0 to 1.
        """
        self.refresh_s = [factor * one for one in self.refresh_s]
        self.saved_s = [factor * one for one in self.saved_s]
        self.avoided = [factor * one for one in self.avoided]

    @property
    def extra_s(self) -> list[float]:
        """Compute seconds that refreshes would take more than the misses they avoid."""
        return [cost - saved for cost, saved in zip(self.refresh_s, self.saved_s, strict=True)]

    def log_odds_at(self, column: list[float], amount: float) -> float:
        """Return the log-odds down to which refreshes make up an amount.

        Args:
            column: `refresh_s`, `extra_s` or `avoided`.
            amount: How much of it.

        Returns:
            The highest log-odds there are for nothing, the lowest if all of it is less.
        """
        if amount <= 0.0:
            return HIGHEST_LOG_ODDS
        total = 0.0
        for step in range(STEPS - 1, -1, -1):
            part = column[step]
            if total + part > amount:
                within = (amount - total) / part
                return LOWEST_LOG_ODDS + (step + 1 - within) / STEPS_PER_UNIT
            total += part
        return LOWEST_LOG_ODDS

    def curve(self, totals: Totals, extra_kept: float = 1.0, avoided_kept: float = 1.0) -> list[Point]:
        """Return what each price would do, from the highest to the lowest.

        Args:
            totals: What a plain cache did meanwhile.
            extra_kept: What came of the extra compute that was foreseen, as a factor.
            avoided_kept: What came of the avoided misses that were foreseen.
        """
        sums = zip(*(accumulate(reversed(one)) for one in (self.refresh_s, self.saved_s, self.avoided)), strict=True)
        return [
            Point(
                HIGHEST_LOG_ODDS - number / STEPS_PER_UNIT,
                _part(extra_kept * (refresh_s - saved_s), totals.plain_s),
                _part(max(totals.plain_misses - avoided_kept * avoided, 0.0), totals.reads),
                _part(60.0 * refresh_s, totals.seconds),
            )
            for number, (refresh_s, saved_s, avoided) in enumerate(sums, 1)
        ]

    def to_bytes(self) -> bytes:
        """Return the decisions as Redis holds them."""
        return _BYTES.pack(*self.refresh_s, *self.saved_s, *self.avoided)

    @classmethod
    def from_bytes(cls, packed: bytes) -> "WhatIf":
        """Return the decisions that these bytes say.

        Raises:
            PolicyStateError: they are not those of a what-if curve.

        Example:
            >>> WhatIf.from_bytes(WhatIf().to_bytes()).curve(Totals(60, 10, 5, 5))[-1].miss_ratio
            0.5
        """
        if len(packed) != _BYTES.size:
            raise PolicyStateError(
                f"expected {_BYTES.size} bytes of a what-if curve, got {len(packed)}; "
                "delete the key that holds it: it is drawn anew from the next decisions"
            )
        sums = _BYTES.unpack(packed)
        what_if = cls.__new__(cls)
        what_if.refresh_s = list(sums[:STEPS])
        what_if.saved_s = list(sums[STEPS : 2 * STEPS])
        what_if.avoided = list(sums[2 * STEPS :])
        return what_if


def ttls_per_miss(chance: float) -> float:
    """Return in how many ttls a lapsing target is asked about once: one, and the wait for the read that misses.

    The wait is that of a Poisson process of the same chance: with x = -ln(1 - p), p * E[u] = (1 - (1 - p)(1 + x)) / x.

    Args:
        chance: Of a read within the next ttl, between 0 and 1.

    Example:
        >>> rate = 4.0
        >>> chance = 1 - math.exp(-rate)
        >>> round(ttls_per_miss(chance) / chance, 6) == 1 + 1 / rate
        True
    """
    rate = -math.log1p(-chance)
    return 1.0 + (1.0 - (1.0 - chance) * (1.0 + rate)) / rate


def _part(amount: float, whole: float) -> float:
    return amount / whole if whole else 0.0


def _middle(step: int) -> float:
    return 1.0 / (1.0 + math.exp(-(LOWEST_LOG_ODDS + (step + 0.5) / STEPS_PER_UNIT)))


_TTLS_PER_MISS = tuple(ttls_per_miss(_middle(step)) for step in range(STEPS))
