"""Records of one refresh, after it: the outcome of a computation, and the outcome of the whole refresh."""

from typing import Any, NamedTuple

from warmer.codec import Encoded
from warmer.codec.entry import Origin
from warmer.store import Result


class Computed(NamedTuple):
    """The outcome of a computation: a value or an error, and how long it took.

    Args:
        value: The value, unless there is an error; None where only its bytes are known.
        error: What the computation raised, or why its value cannot be cached; an object of its own.
        duration_s: How long it took, in seconds; in a batch its share of the call.
        encoded: The value as bytes; None if there is none, or it has not been encoded yet.
        is_none: Whether an encoded value is None.
        crashed: How the process ended that computed it, such as "signal SIGSEGV"; "" unless it died.

    Example:
        >>> Computed(49, duration_s=0.002).error is None
        True
    """

    value: Any = None
    error: BaseException | None = None
    duration_s: float = 0.0
    encoded: Encoded | None = None
    is_none: bool = False
    crashed: str = ""


class Refreshed(NamedTuple):
    """The outcome of a refresh.

    Args:
        ref: Canonical text of the target; "" for a key without a task.
        origin: Who computes it.
        result: How the refresh ended.
        now_ms: The server's time when it began.
        value: The computed value, if there is one.
        encoded: The same as bytes, if it could be encoded.
        duration_ms: How long the computation took.
        computed_at_ms: When the value that is now cached was computed; 0 when unknown.
        fresh_until_ms: Until when it is fresh.
        error: The text of the error.
        exception: What the computation raised, or why its value can never be cached; None if there is a value.
        was_elsewhere: Whether another's computation failed, while this caller waited for it.
    """

    ref: str
    origin: Origin
    result: Result
    now_ms: int = 0
    value: Any = None
    encoded: Encoded | None = None
    duration_ms: float = 0.0
    computed_at_ms: int = 0
    fresh_until_ms: int = 0
    error: str = ""
    exception: BaseException | None = None
    was_elsewhere: bool = False
