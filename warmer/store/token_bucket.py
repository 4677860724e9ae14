"""Token bucket: what a rate admits now, and when it admits the next computation."""

from dataclasses import dataclass
from typing import Self

from warmer.store.constants import ROUNDING


@dataclass(slots=True)
class TokenBucket:
    """A token bucket, by the same rules as ``includes/limits.lua``; statistics and plans use it.

    It is full at first and fills by the rate up to one burst: what the rate admits in a second, at least 1.

    Args:
        rate_per_s: Tokens that come in per second.
        tokens: Tokens at `at_s`; below 0 while readers have begun more than the rate allows.
        at_s: When it held them.

    Example:
        >>> bucket = TokenBucket(rate_per_s=10.0, tokens=-5.0, at_s=1.0)
        >>> bucket.tokens_at(1.5), bucket.tokens_at(9.0)
        (0.0, 10.0)
    """

    rate_per_s: float
    tokens: float
    at_s: float

    @classmethod
    def full(cls, rate_per_s: float, now_s: float) -> Self:
        """Return a full bucket."""
        return cls(rate_per_s, max(1.0, rate_per_s), now_s)

    @property
    def burst(self) -> float:
        """The most tokens that it holds."""
        return max(1.0, self.rate_per_s)

    def tokens_at(self, now_s: float) -> float:
        """Return the tokens that it holds at a moment."""
        return min(self.burst, self.tokens + max(0.0, now_s - self.at_s) * self.rate_per_s)

    def has(self, tokens: float, now_s: float) -> bool:
        """Return whether it holds that many tokens."""
        return self.tokens_at(now_s) + ROUNDING >= tokens

    def has_again_s(self, tokens: float, now_s: float) -> float | None:
        """Return when it will hold that many tokens; None if it holds them now."""
        missing = tokens - self.tokens_at(now_s)
        return now_s + missing / self.rate_per_s + ROUNDING if missing > 0 else None

    def take(self, now_s: float) -> None:
        """Take one token, even if there is none."""
        self.tokens, self.at_s = self.tokens_at(now_s) - 1, now_s
