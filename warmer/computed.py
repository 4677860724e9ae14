"""What came of a computation, wherever it ran: bytes that can be cached, or why there are none."""

from typing import NamedTuple

from warmer.codec import Encoded


class Computed(NamedTuple):
    """What came of a computation.

    Args:
        duration_s: How long it took.
        encoded: The value as bytes; None if there is none.
        is_none: Whether the value was None.
        error: What the computation raised, or why its value cannot be cached.
        crashed: How the process ended that computed it, such as "signal SIGSEGV"; "" unless it died.
    """

    duration_s: float
    encoded: Encoded | None = None
    is_none: bool = False
    error: BaseException | None = None
    crashed: str = ""
