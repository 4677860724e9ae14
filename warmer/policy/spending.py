"""What was spent lately, and what a plain cache would have: sums that fade."""

import math
import struct
from typing import NamedTuple

STEADY_REFRESHES = 10.0
"""What is foreseen of fewer refreshes than this says little yet of how well it is foreseen."""

FURTHEST_OFF = math.exp(1.5)
"""What is foreseen is not taken to be wrong by more than this factor."""

FADED = 1e-9
"""A sum below this has faded to nothing."""

_BYTES = struct.Struct("<10d")


class Spent(NamedTuple):
    """What the targets under one knob did since the last time it was told; those that are always warm left out.

    Args:
        reads: Reads by users.
        misses: Computations that users waited for.
        miss_s: Compute seconds of those.
        refreshes: Computations by warming.
        refresh_s: Compute seconds of those.
        plain_misses: What a plain cache would have missed on the same reads: what the histories' shadows missed.
        plain_s: Compute seconds of those misses.
    """

    reads: float = 0.0
    misses: float = 0.0
    miss_s: float = 0.0
    refreshes: float = 0.0
    refresh_s: float = 0.0
    plain_misses: float = 0.0
    plain_s: float = 0.0


class Kept(NamedTuple):
    """What came of what was foreseen, as factors.

    Args:
        extra_s: Of compute seconds spent more than a plain cache would have.
        avoided: Of misses avoided.
    """

    extra_s: float = 1.0
    avoided: float = 1.0


class Spending:
    """Sums of `Spent`, and of what was foreseen, that fade with one time constant.

    Args:
        memory_s: The time constant, in seconds.

    Example:
        >>> spending = Spending(memory_s=3600.0)
        >>> spending.add(Spent(reads=10, misses=2, miss_s=2.0, refresh_s=1.0, plain_misses=2, plain_s=2.0))
        >>> spending.extra_s
        1.0
    """

    __slots__ = ("_memory_s", "foreseen_avoided", "foreseen_extra_s", "seconds", "spent")

    def __init__(self, memory_s: float) -> None:
        """Begin with nothing spent."""
        self._memory_s = memory_s
        self.seconds = 0.0
        self.spent = Spent()
        self.foreseen_extra_s = 0.0
        self.foreseen_avoided = 0.0

    def pass_by(self, seconds: float) -> float:
        """Let time pass.

        Args:
            seconds: How much.

        Returns:
            What all that was before still counts.
        """
        factor = math.exp(-seconds / self._memory_s)
        self.seconds = self.seconds * factor + seconds
        self.spent = Spent(*(factor * one for one in self.spent))
        self.foreseen_extra_s *= factor
        self.foreseen_avoided *= factor
        return factor

    def add(self, spent: Spent) -> None:
        """Count what was spent.

        Args:
            spent: Since the last time.
        """
        self.spent = Spent(*(one + more for one, more in zip(self.spent, spent, strict=True)))

    def foresee(self, extra_s: float, avoided: float) -> None:
        """Count what a refresh is expected to do.

        Args:
            extra_s: Compute seconds that it takes more than the misses it avoids.
            avoided: How many misses it avoids.
        """
        self.foreseen_extra_s += extra_s
        self.foreseen_avoided += avoided

    @property
    def extra_s(self) -> float:
        """Compute seconds spent more than a plain cache would have."""
        return self.spent.miss_s + self.spent.refresh_s - self.spent.plain_s

    @property
    def kept(self) -> Kept:
        """What came of what was foreseen; some is taken to have come as foreseen before."""
        avoided = self.spent.plain_misses - self.spent.misses
        before = STEADY_REFRESHES * self.mean_cost_s
        return Kept(
            _factor(self.extra_s + before, self.foreseen_extra_s + before),
            _factor(avoided + STEADY_REFRESHES, self.foreseen_avoided + STEADY_REFRESHES),
        )

    @property
    def mean_cost_s(self) -> float:
        """Compute seconds of one computation; 0 once all have faded."""
        misses = self.spent.plain_misses
        return self.spent.plain_s / misses if misses > FADED else 0.0

    def to_bytes(self) -> bytes:
        """Return the sums as Redis holds them."""
        return _BYTES.pack(self.seconds, self.foreseen_extra_s, self.foreseen_avoided, *self.spent)

    @classmethod
    def from_bytes(cls, memory_s: float, packed: bytes) -> "Spending":
        """Return the sums that these bytes say.

        Args:
            memory_s: The time constant, in seconds.
            packed: What `to_bytes` gave.

        Example:
            >>> Spending.from_bytes(60.0, Spending(60.0).to_bytes()).spent == Spent()
            True
        """
        spending = cls(memory_s)
        spending.seconds, spending.foreseen_extra_s, spending.foreseen_avoided, *spent = _BYTES.unpack(packed)
        spending.spent = Spent(*spent)
        return spending


def _factor(came: float, foreseen: float) -> float:
    if foreseen <= 0.0:
        return 1.0
    return min(max(came / foreseen, 1.0 / FURTHEST_OFF), FURTHEST_OFF)


SPENDING_BYTES = _BYTES.size
