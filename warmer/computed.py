"""What came of a computation, wherever it ran: bytes that can be cached, or why there are none."""

from typing import Any, NamedTuple

from warmer.codec import Codec, Encoded


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


def computed_of(
    codec: Codec, cache_key: str, duration_s: float, value: Any, error: BaseException | None = None
) -> Computed:
    """Return what came of a computation: a value as bytes, what was raised, or why the value cannot be cached.

    Args:
        codec: How the value is stored.
        cache_key: Where.
        duration_s: How long it took.
        value: The value, unless there is an error.
        error: What the computation raised.

    Example:
        >>> from warmer.codec import Codec
        >>> computed_of(Codec(), "answer", 0.5, 42).encoded
        Encoded(number=1, payload=b'42')
    """
    if error is not None:
        return Computed(duration_s, error=error)
    try:
        return Computed(duration_s, codec.encode(cache_key, value), value is None)
    except Exception as refused:
        return Computed(duration_s, error=refused)
