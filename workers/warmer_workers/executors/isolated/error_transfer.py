"""Transfer of exceptions from a child to its worker: not as pickles, and only as classes that the worker knows."""

import builtins
from collections.abc import Mapping
from types import MappingProxyType

from warmer import errors
from warmer.codec import cached_error
from warmer.errors import described

_EVERYWHERE: Mapping[type[Exception], float] = MappingProxyType(
    {
        kind: 0.0
        for module in (builtins, errors)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
)
"""The classes that every process has; their ttl is not used here."""

_AS_CACHED, _UNCHANGED = b"c", b"w"


def packed(error: BaseException, cache_errors: Mapping[type[Exception], float]) -> bytes:
    """Serialize an exception.

    Args:
        error: The exception of a computation.
        cache_errors: The classes that the task caches; the nearest one is restored.

    Example:
        >>> unpacked(packed(ZeroDivisionError("division by zero"), {}), {})
        ZeroDivisionError('division by zero')
    """
    unchanged = None if type(error) in cache_errors else _unchanged(error)
    if unchanged is not None:
        return _UNCHANGED + unchanged
    try:
        return _AS_CACHED + cached_error.pack(error, cache_errors)
    except Exception:  # its class raises when its arguments are read
        return _AS_CACHED + cached_error.pack(error, {})


def unpacked(received: bytes, cache_errors: Mapping[type[Exception], float]) -> Exception:
    """Deserialize an exception; one of an unknown class becomes a `ComputationFailedError` with its message.

    Args:
        received: The bytes of `packed`.
        cache_errors: The classes that the task caches.

    Example:
        >>> class StrangeError(Exception): ...
        >>> unpacked(packed(StrangeError("odd"), {}), {})
        ComputationFailedError('the computation failed elsewhere with StrangeError: odd')
    """
    known = _EVERYWHERE if received.startswith(_UNCHANGED) else cache_errors
    return cached_error.restored(received[1:], known)


def _unchanged(error: BaseException) -> bytes | None:
    """Return the record of an exception whose class every process has, if it can be restored with its message."""
    if not isinstance(error, Exception) or type(error) not in _EVERYWHERE:
        return None
    own_class = {type(error): 0.0}
    record = cached_error.pack(error, own_class)
    return record if described(cached_error.restored(record, own_class)) == described(error) else None
