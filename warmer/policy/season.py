"""Daily and weekly seasonality: reads in each hour of the day, on weekdays and at weekends (UTC)."""

import struct

from warmer.errors import PolicyStateError

HOUR_S, DAY_S = 3600.0, 86400.0

DECAY = 0.8
"""Weight that is left to an hour's earlier reads each time the same hour comes again."""

MAX_PAUSE_S = 6 * HOUR_S
"""A longer pause between two observations means that nothing was observed, not that nothing was read."""

MIN_OBSERVED_S = 600.0
"""An hour that was observed for less says nothing yet."""

MAX_HORIZON_S = 7 * DAY_S

_HOURS = 24
_SLOTS = 2 * _HOURS
_BYTES = struct.Struct(f"<d{2 * _SLOTS}f")
_CACHED = 64


class Season:
    """Reads in each of 48 hours (24 of weekdays, 24 of weekends), and for how long each was observed.

    Example:
        >>> season, monday_s = Season(), 1_704_067_200.0
        >>> for hour in range(48):
        ...     season.observe(monday_s + 3600 * hour, reads=0)
        ...     season.observe(monday_s + 3600 * hour + 1800, reads=900 if hour % 24 == 9 else 100)
        >>> round(season.multiplier(monday_s + 57 * 3600, horizon_s=600), 2)
        6.67
    """

    __slots__ = ("_at_s", "_cache", "_observed_s", "_reads")

    def __init__(self) -> None:
        self._at_s = 0.0
        self._reads = [0.0] * _SLOTS
        self._observed_s = [0.0] * _SLOTS
        self._cache: dict[tuple[float, float], float] = {}

    def observe(self, at_s: float, reads: float) -> None:
        """Count reads of all targets.

        Args:
            at_s: Now; a time before the latest observation counts as that observation's time.
            reads: How many came since the latest observation; 0 counts too.
        """
        last_s = self._at_s
        at_s = max(at_s, last_s)
        if last_s and at_s - last_s <= MAX_PAUSE_S:
            self._add_observed(last_s, at_s)
            self._reads[_slot((last_s + at_s) / 2.0)] += reads
        self._at_s = at_s

    def multiplier(self, now_s: float, horizon_s: float) -> float:
        """Return the load expected over a horizon, as a multiple of the mean; 1 until a whole day is known."""
        asked = (now_s // 60.0, horizon_s)
        known = self._cache.get(asked)
        if known is None:
            if len(self._cache) >= _CACHED:
                self._cache.clear()
            known = self._cache[asked] = self._load(60.0 * asked[0], horizon_s)
        return known

    def to_bytes(self) -> bytes:
        """Return the season as Redis holds it."""
        return _BYTES.pack(self._at_s, *self._reads, *self._observed_s)

    @classmethod
    def from_bytes(cls, packed: bytes) -> "Season":
        """Return the season that `to_bytes` packed.

        Raises:
            PolicyStateError: the bytes are not those of a season.
        """
        if len(packed) != _BYTES.size:
            raise PolicyStateError(
                f"expected {_BYTES.size} bytes of a season, got {len(packed)}; "
                "delete the key that holds it: it is learnt again within a day"
            )
        season = cls()
        season._at_s, *sums = _BYTES.unpack(packed)
        season._reads, season._observed_s = sums[:_SLOTS], sums[_SLOTS:]
        return season

    def _add_observed(self, from_s: float, until_s: float) -> None:
        """Add a span to the observed time; an hour that begins in it decays its slot."""
        while from_s < until_s:
            hour_ends_s = (from_s // HOUR_S + 1) * HOUR_S
            self._observed_s[_slot(from_s)] += min(hour_ends_s, until_s) - from_s
            if hour_ends_s <= until_s:
                begun = _slot(hour_ends_s)
                self._reads[begun] *= DECAY
                self._observed_s[begun] *= DECAY
            from_s = hour_ends_s

    def _load(self, now_s: float, horizon_s: float) -> float:
        rates = [self._rate(slot) for slot in range(_SLOTS)]
        weekday = [rate for rate in rates[:_HOURS] if rate is not None]
        weekend = [rate for rate in rates[_HOURS:] if rate is not None]
        if max(len(weekday), len(weekend)) < _HOURS or horizon_s >= MAX_HORIZON_S:
            return 1.0
        mean = _mean_of_week(weekday, weekend)
        if mean <= 0.0:
            return 1.0
        return _mean_over(rates, mean, now_s, now_s + horizon_s) / mean

    def _rate(self, slot: int) -> float | None:
        observed_s = self._observed_s[slot]
        return self._reads[slot] / observed_s if observed_s >= MIN_OBSERVED_S else None


def _slot(at_s: float) -> int:
    day = int(at_s // DAY_S)
    is_weekend = (day + 3) % 7 >= 5  # the epoch was a Thursday
    return int(at_s % DAY_S // HOUR_S) + (_HOURS if is_weekend else 0)


def _mean_of_week(weekday: list[float], weekend: list[float]) -> float:
    """Return the mean rate of a week; a kind of day that is not known yet counts as the other kind."""
    if len(weekend) < _HOURS:
        return sum(weekday) / len(weekday)
    if len(weekday) < _HOURS:
        return sum(weekend) / len(weekend)
    return (5.0 * sum(weekday) + 2.0 * sum(weekend)) / (7.0 * _HOURS)


def _mean_over(rates: list[float | None], unknown: float, from_s: float, until_s: float) -> float:
    """Return the mean rate between two moments; an hour that is not known counts as on the other kind of day."""
    reads, at_s = 0.0, from_s
    while at_s < until_s:
        hour_ends_s = min((at_s // HOUR_S + 1) * HOUR_S, until_s)
        slot = _slot(at_s)
        rate = rates[slot]
        if rate is None:
            rate = rates[(slot + _HOURS) % _SLOTS]
        reads += (unknown if rate is None else rate) * (hour_ends_s - at_s)
        at_s = hour_ends_s
    return reads / (until_s - from_s)
