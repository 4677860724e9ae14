"""Exponentially decayed sums of what was spent, beside what a plain ttl cache (the baseline) would have spent."""

import math
import struct
from typing import NamedTuple

PRIOR_REFRESHES = 10.0
"""Forecasts of fewer refreshes than this say little, and are taken to be right."""

MAX_FORECAST_ERROR = math.exp(1.5)
"""Forecasts are corrected by at most this factor."""

NEGLIGIBLE = 1e-9
"""A sum below this has decayed to nothing."""

_BYTES = struct.Struct("<10d")


class Spent(NamedTuple):
    """Reads and refreshes of one account's targets since the last report; without targets that are always warm.

    Args:
        reads: Reads by users.
        misses: Computations that users waited for.
        miss_s: Compute seconds of those.
        refreshes: Computations by warming.
        refresh_s: Compute seconds of those.
        baseline_misses: Misses of a plain ttl cache on the same reads.
        baseline_s: Compute seconds of those.
    """

    reads: float = 0.0
    misses: float = 0.0
    miss_s: float = 0.0
    refreshes: float = 0.0
    refresh_s: float = 0.0
    baseline_misses: float = 0.0
    baseline_s: float = 0.0


class Realized(NamedTuple):
    """Forecast errors, as factors: the actual value divided by the forecast.

    Args:
        extra_s: Of compute seconds beyond the baseline.
        avoided: Of avoided misses.
    """

    extra_s: float = 1.0
    avoided: float = 1.0


class Spending:
    """Sums of `Spent` and of forecasts, which decay with one time constant.

    Args:
        memory_s: The time constant, in seconds.

    Example:
        >>> spending = Spending(memory_s=3600.0)
        >>> spending.add(Spent(reads=10, misses=2, miss_s=2.0, refresh_s=1.0, baseline_misses=2, baseline_s=2.0))
        >>> spending.extra_s
        1.0
    """

    __slots__ = ("_memory_s", "forecast_avoided", "forecast_extra_s", "seconds", "spent")

    def __init__(self, memory_s: float) -> None:
        self._memory_s = memory_s
        self.seconds = 0.0
        self.spent = Spent()
        self.forecast_extra_s = 0.0
        self.forecast_avoided = 0.0

    def decay(self, seconds: float) -> float:
        """Let time pass, and return the weight that is left to earlier sums, from 0 to 1."""
        factor = math.exp(-seconds / self._memory_s)
        self.seconds = self.seconds * factor + seconds
        self.spent = Spent(*(factor * one for one in self.spent))
        self.forecast_extra_s *= factor
        self.forecast_avoided *= factor
        return factor

    def add(self, spent: Spent) -> None:
        """Count what was spent since the last time."""
        self.spent = Spent(*(one + more for one, more in zip(self.spent, spent, strict=True)))

    def add_forecast(self, extra_s: float, avoided: float) -> None:
        """Count the expected misses that a refresh avoids, and its compute seconds beyond theirs."""
        self.forecast_extra_s += extra_s
        self.forecast_avoided += avoided

    @property
    def extra_s(self) -> float:
        """Compute seconds beyond the baseline's."""
        return self.spent.miss_s + self.spent.refresh_s - self.spent.baseline_s

    @property
    def realized(self) -> Realized:
        """Return the forecast errors; a few refreshes that came out as expected are assumed beside them."""
        avoided = self.spent.baseline_misses - self.spent.misses
        prior_s = PRIOR_REFRESHES * self.mean_cost_s
        return Realized(
            _factor(self.extra_s + prior_s, self.forecast_extra_s + prior_s),
            _factor(avoided + PRIOR_REFRESHES, self.forecast_avoided + PRIOR_REFRESHES),
        )

    @property
    def mean_cost_s(self) -> float:
        """Compute seconds of one computation; 0 once all have decayed."""
        misses = self.spent.baseline_misses
        return self.spent.baseline_s / misses if misses > NEGLIGIBLE else 0.0

    def to_bytes(self) -> bytes:
        """Return the sums as Redis holds them."""
        return _BYTES.pack(self.seconds, self.forecast_extra_s, self.forecast_avoided, *self.spent)

    @classmethod
    def from_bytes(cls, memory_s: float, packed: bytes) -> "Spending":
        """Return the sums that `to_bytes` packed."""
        spending = cls(memory_s)
        spending.seconds, spending.forecast_extra_s, spending.forecast_avoided, *spent = _BYTES.unpack(packed)
        spending.spent = Spent(*spent)
        return spending


def _factor(actual: float, forecast: float) -> float:
    if forecast <= 0.0:
        return 1.0
    return min(max(actual / forecast, 1.0 / MAX_FORECAST_ERROR), MAX_FORECAST_ERROR)


SPENDING_BYTES = _BYTES.size
