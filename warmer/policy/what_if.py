"""What-if curve: misses against extra compute for every other threshold, from a histogram of the decisions taken.

Each decision stands for a stretch of time in which its target, if it lapses, is missed with the probability that the
model gave, and, if it is refreshed, is not. If a miss comes u ttls after the decision, the reader's value lasts until
1 + u: a lapsing target is reviewed once in 1 + p * E[u] ttls, a refreshed one once in each. Therefore even a refresh
before a certain read costs something: a Poisson target of rate r that is always refreshed takes 1 + 1 / (r * ttl)
times the compute of the baseline.
"""

import math
import struct
from itertools import accumulate
from typing import NamedTuple

from warmer.errors import PolicyStateError

LOWEST_BIN, HIGHEST_BIN = -8.0, 8.0
"""Log-odds at which the histogram begins and ends."""

BINS_PER_UNIT = 4.0
BIN_COUNT = int((HIGHEST_BIN - LOWEST_BIN) * BINS_PER_UNIT)

_BYTES = struct.Struct(f"<{3 * BIN_COUNT}d")


class CurvePoint(NamedTuple):
    """Estimated effect of one threshold.

    Args:
        log_odds: The threshold: targets with at least these log-odds of a read within the next ttl are refreshed.
        extra_compute: Compute beyond the baseline's, as a part of the baseline's.
        miss_ratio: The part of reads that begin a computation their user waits for.
        refresh_s_per_minute: Compute seconds of refreshes, a minute.
    """

    log_odds: float
    extra_compute: float
    miss_ratio: float
    refresh_s_per_minute: float


class BaselineTotals(NamedTuple):
    """Totals of the baseline, a plain ttl cache, in the time that the decisions come from.

    Args:
        seconds: How long that was.
        reads: Reads by users.
        misses: Reads that the baseline would have missed.
        compute_s: Compute seconds of those misses.
    """

    seconds: float
    reads: float
    misses: float
    compute_s: float


class WhatIfCurve:
    """Histogram of decisions by their log-odds: what a refresh costs, what it saves, and how many misses it avoids.

    Example:
        >>> curve = WhatIfCurve()
        >>> for _ in range(100):
        ...     _ = curve.record(log_odds=2.0, chance=0.88, ttls=1.0, cost_s=0.5)
        >>> 1.9 < curve.log_odds_at(curve.refresh_s, amount=20.0) < 2.3
        True
    """

    __slots__ = ("avoided", "refresh_s", "saved_s")

    def __init__(self) -> None:
        self.refresh_s = [0.0] * BIN_COUNT
        self.saved_s = [0.0] * BIN_COUNT
        self.avoided = [0.0] * BIN_COUNT

    def record(self, log_odds: float, chance: float, ttls: float, cost_s: float) -> float:
        """Record a decision, with the arguments of `Threshold.record`, and return how many misses a refresh avoids.

        That is less than the chance, as each miss would have bought more than one ttl.
        """
        index = int((log_odds - LOWEST_BIN) * BINS_PER_UNIT)
        index = 0 if index < 0 else BIN_COUNT - 1 if index >= BIN_COUNT else index
        avoided = chance / _TTLS_PER_MISS[index]
        self.refresh_s[index] += ttls * cost_s
        self.saved_s[index] += ttls * cost_s * avoided
        self.avoided[index] += ttls * avoided
        return avoided

    def decay(self, factor: float) -> None:
        """Reduce the weight of all decisions so far by a factor from 0 to 1."""
        self.refresh_s = [factor * one for one in self.refresh_s]
        self.saved_s = [factor * one for one in self.saved_s]
        self.avoided = [factor * one for one in self.avoided]

    @property
    def extra_s(self) -> list[float]:
        """Compute seconds of refreshes beyond those of the misses that they avoid."""
        return [cost - saved for cost, saved in zip(self.refresh_s, self.saved_s, strict=True)]

    def log_odds_at(self, column: list[float], amount: float) -> float:
        """Return the threshold above which a column adds up to an amount; the lowest log-odds if all of it is less.

        Args:
            column: `refresh_s`, `extra_s` or `avoided`.
            amount: In the unit of the column.
        """
        if amount <= 0.0:
            return HIGHEST_BIN
        total = 0.0
        for index in range(BIN_COUNT - 1, -1, -1):
            part = column[index]
            if total + part > amount:
                within = (amount - total) / part
                return LOWEST_BIN + (index + 1 - within) / BINS_PER_UNIT
            total += part
        return LOWEST_BIN

    def points(
        self, baseline: BaselineTotals, extra_realized: float = 1.0, avoided_realized: float = 1.0
    ) -> list[CurvePoint]:
        """Return what each threshold would do, from the highest to the lowest.

        Args:
            baseline: What a plain ttl cache did in the same time.
            extra_realized: What came true of the forecast extra compute, as a factor.
            avoided_realized: What came true of the misses forecast to be avoided.
        """
        sums = zip(*(accumulate(reversed(one)) for one in (self.refresh_s, self.saved_s, self.avoided)), strict=True)
        return [
            CurvePoint(
                HIGHEST_BIN - number / BINS_PER_UNIT,
                _part(extra_realized * (refresh_s - saved_s), baseline.compute_s),
                _part(max(baseline.misses - avoided_realized * avoided, 0.0), baseline.reads),
                _part(60.0 * refresh_s, baseline.seconds),
            )
            for number, (refresh_s, saved_s, avoided) in enumerate(sums, 1)
        ]

    def to_bytes(self) -> bytes:
        """Return the histogram as Redis holds it."""
        return _BYTES.pack(*self.refresh_s, *self.saved_s, *self.avoided)

    @classmethod
    def from_bytes(cls, packed: bytes) -> "WhatIfCurve":
        """Return the curve that `to_bytes` packed.

        Raises:
            PolicyStateError: the bytes are not those of a what-if curve.
        """
        if len(packed) != _BYTES.size:
            raise PolicyStateError(
                f"expected {_BYTES.size} bytes of a what-if curve, got {len(packed)}; "
                "delete the key that holds it: it is drawn again from the next decisions"
            )
        sums = _BYTES.unpack(packed)
        curve = cls.__new__(cls)
        curve.refresh_s = list(sums[:BIN_COUNT])
        curve.saved_s = list(sums[BIN_COUNT : 2 * BIN_COUNT])
        curve.avoided = list(sums[2 * BIN_COUNT :])
        return curve


def ttls_per_miss(chance: float) -> float:
    """Return in how many ttls a lapsing target is reviewed once: one, and the wait for the read that misses.

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


def _middle(index: int) -> float:
    return 1.0 / (1.0 + math.exp(-(LOWEST_BIN + (index + 0.5) / BINS_PER_UNIT)))


_TTLS_PER_MISS = tuple(ttls_per_miss(_middle(index)) for index in range(BIN_COUNT))
