"""Passes exceptions from a child to its worker: never as a pickle, and only as a class that the worker has, too."""

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
"""The classes that every process has; for how long they are cached is not said by this."""

_AS_CACHED, _AS_IT_WAS = b"c", b"w"


def packed(error: BaseException, cache_errors: Mapping[type[Exception], float]) -> bytes:
    """Return an exception as bytes.

    Args:
        error: What a computation raised.
        cache_errors: The classes that the task caches: as the nearest of them it is raised again.

    Example:
        >>> unpacked(packed(ZeroDivisionError("division by zero"), {}), {})
        ZeroDivisionError('division by zero')
    """
    as_it_was = None if type(error) in cache_errors else _as_it_was(error)
    if as_it_was is not None:
        return _AS_IT_WAS + as_it_was
    try:
        return _AS_CACHED + cached_error.pack(error, cache_errors)
    except Exception:  # of a class that cannot even say what its arguments are
        return _AS_CACHED + cached_error.pack(error, {})


def unpacked(received: bytes, cache_errors: Mapping[type[Exception], float]) -> Exception:
    """Return an exception again; one of a class that only the child has is a `ComputationFailedError` that quotes it.

    Args:
        received: From `packed`.
        cache_errors: The same as there.

    Example:
        >>> class StrangeError(Exception): ...
        >>> unpacked(packed(StrangeError("odd"), {}), {})
        ComputationFailedError('the computation failed elsewhere with StrangeError: odd')
    """
    known = _EVERYWHERE if received.startswith(_AS_IT_WAS) else cache_errors
    return cached_error.restored(received[1:], known)


def _as_it_was(error: BaseException) -> bytes | None:
    """Return an exception of a class that every process has, if it comes back with all that it said."""
    if not isinstance(error, Exception) or type(error) not in _EVERYWHERE:
        return None
    itself = {type(error): 0.0}
    record = cached_error.pack(error, itself)
    return record if described(cached_error.restored(record, itself)) == described(error) else None
