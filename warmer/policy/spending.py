"""What was spent lately, and what a plain cache would have: sums that fade."""

import math
import struct
from typing import NamedTuple

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
    def mean_cost_s(self) -> float:
        """Compute seconds of one computation."""
        return self.spent.plain_s / self.spent.plain_misses if self.spent.plain_misses else 0.0

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


SPENDING_BYTES = _BYTES.size
