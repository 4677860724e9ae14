"""Renewal credits: reads buy the renewals to come.

Source: Cohen and Kaplan, "Proactive caching of DNS records: addressing a performance bottleneck" (2001), and the bound
on credits of Pappas, Massey and Zhang, "Enhancing DNS resilience against denial of service attacks" (2007).
"""

from warmer.simulation.policies.renewal import replay_renewals
from warmer.simulation.result import Replayed
from warmer.simulation.trace.by_key import KeyReads, ReadsByKey

MOST_CREDITS = 20.0
"""What a key of R-LFU may hold: more would renew long after its reads have ended."""


class RecencyCredits:
    """R-LRU: each read sets the key's credits to the same number; a renewal takes one.

    Args:
        each_time: That number, from 0.

    Example:
        >>> renewal = RecencyCredits(2)
        >>> renewal.read(1)
        >>> renewal.renew(60.0, 1, needed=3), renewal.renew(180.0, 1, needed=3)
        (2, 0)
    """

    def __init__(self, each_time: int) -> None:
        self._each_time = each_time
        self._left = 0

    def read(self, reads: int) -> None:
        """Fill up."""
        self._left = self._each_time

    def renew(self, fresh_until_s: float, row: int, needed: int) -> int:
        """Spend what there is."""
        renewed = min(needed, self._left)
        self._left -= renewed
        return renewed


class FrequencyCredits:
    """R-LFU: each read adds to the key's credits; a renewal takes one.

    Args:
        for_each: What each read adds, from 0; mostly a fraction.

    Example:
        >>> renewal = FrequencyCredits(0.25)
        >>> renewal.read(5)
        >>> renewal.renew(60.0, 1, needed=3)
        1
    """

    def __init__(self, for_each: float) -> None:
        self._for_each = for_each
        self._left = 0.0

    def read(self, reads: int) -> None:
        """Add up."""
        self._left = min(self._left + reads * self._for_each, MOST_CREDITS)

    def renew(self, fresh_until_s: float, row: int, needed: int) -> int:
        """Spend what there is."""
        renewed = min(needed, int(self._left))
        self._left -= renewed
        return renewed


def replay_rlru(course: ReadsByKey, each_time: float, plain: Replayed) -> Replayed:
    """Replay R-LRU, with this whole number of credits."""

    def renewals(key: KeyReads) -> RecencyCredits:
        return RecencyCredits(int(each_time))

    return replay_renewals(course, renewals, plain)


def replay_rlfu(course: ReadsByKey, for_each: float, plain: Replayed) -> Replayed:
    """Replay R-LFU, with these credits for each read."""

    def renewals(key: KeyReads) -> FrequencyCredits:
        return FrequencyCredits(for_each)

    return replay_renewals(course, renewals, plain)
