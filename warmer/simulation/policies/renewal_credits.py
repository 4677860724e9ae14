"""Renewal credits (R-LRU and R-LFU): reads earn credits, and each renewal costs one.

Source: Cohen and Kaplan, "Proactive caching of DNS records: addressing a performance bottleneck" (2001), and the bound
on credits of Pappas, Massey and Zhang, "Enhancing DNS resilience against denial of service attacks" (2007).
"""

from warmer.simulation.policies.renewal import replay_renewals
from warmer.simulation.result import ReplayResult
from warmer.simulation.trace.by_key import KeyReads, ReadsByKey

MAX_CREDITS = 20.0
"""Bound on the credits of an R-LFU key: more would renew it long after its reads have ended."""


class RecencyCredits:
    """R-LRU: each read sets the key's credits to the same number, from 0.

    Example:
        >>> renewal = RecencyCredits(2)
        >>> renewal.read(1)
        >>> renewal.renew(60.0, 1, needed=3), renewal.renew(180.0, 1, needed=3)
        (2, 0)
    """

    def __init__(self, per_read: int) -> None:
        self._per_read = per_read
        self._left = 0

    def read(self, reads: int) -> None:
        """Reset the credits."""
        self._left = self._per_read

    def renew(self, fresh_until_s: float, row: int, needed: int) -> int:
        """Spend the credits that are left."""
        renewed = min(needed, self._left)
        self._left -= renewed
        return renewed


class FrequencyCredits:
    """R-LFU: each read adds a number from 0, mostly a fraction, to the key's credits.

    Example:
        >>> renewal = FrequencyCredits(0.25)
        >>> renewal.read(5)
        >>> renewal.renew(60.0, 1, needed=3)
        1
    """

    def __init__(self, per_read: float) -> None:
        self._per_read = per_read
        self._left = 0.0

    def read(self, reads: int) -> None:
        """Add credits."""
        self._left = min(self._left + reads * self._per_read, MAX_CREDITS)

    def renew(self, fresh_until_s: float, row: int, needed: int) -> int:
        """Spend the credits that are left."""
        renewed = min(needed, int(self._left))
        self._left -= renewed
        return renewed


def replay_rlru(by_key: ReadsByKey, per_read: float, baseline: ReplayResult) -> ReplayResult:
    """Replay R-LRU, with this whole number of credits after each read."""

    def renewal_of(key: KeyReads) -> RecencyCredits:
        return RecencyCredits(int(per_read))

    return replay_renewals(by_key, renewal_of, baseline)


def replay_rlfu(by_key: ReadsByKey, per_read: float, baseline: ReplayResult) -> ReplayResult:
    """Replay R-LFU, with these credits for each read."""

    def renewal_of(key: KeyReads) -> FrequencyCredits:
        return FrequencyCredits(per_read)

    return replay_renewals(by_key, renewal_of, baseline)
