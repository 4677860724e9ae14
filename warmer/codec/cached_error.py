"""Serialized exceptions: cached errors, and errors from another process.

An exception is restored only as a class that the task itself names; any other becomes a `ComputationFailedError`.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson

from warmer.errors import ComputationFailedError, described, redacted

MAX_BYTES = 4096
"""A larger exception is stored only with its shortened message."""

_PLAIN = (str, int, float, bool, type(None))


def name_of(kind: type[BaseException]) -> str:
    """Return the qualified name of an exception class, such as 'builtins.KeyError'."""
    return f"{kind.__module__}.{kind.__qualname__}"


def pack(error: BaseException, known: Mapping[type[Exception], float], ref: str = "") -> bytes:
    """Serialize an exception: its class, its arguments and attributes of plain types, and its message.

    Args:
        error: The exception.
        known: The classes that may be restored, with their ttl in seconds; the nearest one in the MRO is stored.
        ref: The ref of the target whose computation raised it.

    Example:
        >>> restored(pack(KeyError("no such product"), {KeyError: 30}), {KeyError: 30})
        KeyError('no such product')
    """
    kind, message = _nearest(error, known), described(error)
    record = {
        "kind": name_of(kind or type(error)),
        "arguments": [message],
        "attributes": {},
        "message": message,
        "ref": ref,
    }
    if kind is None:  # only its message will be shown
        return orjson.dumps(record)
    with suppress(orjson.JSONEncodeError):  # a lone surrogate, or an integer of more than 64 bits
        packed = orjson.dumps({**record, "arguments": _plain_arguments(error), "attributes": _plain_attributes(error)})
        if len(packed) <= MAX_BYTES:
            return packed
    return orjson.dumps(record)


def restored(packed: bytes, known: Mapping[type[Exception], float]) -> Exception:
    """Deserialize an exception.

    Args:
        packed: The result of `pack`.
        known: The classes that the task names; no other class is restored, because Redis is not trusted.

    Returns:
        An instance of a known class, or a `ComputationFailedError` with the message.
    """
    try:
        record: dict[str, Any] = orjson.loads(packed)
        kind, message = record["kind"], record["message"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ComputationFailedError("the computation failed elsewhere with an error that cannot be read")
    for candidate in known:
        if name_of(candidate) == kind:
            with suppress(Exception):  # a class with an unusual constructor
                return _create(candidate, record["arguments"], record["attributes"])
    return ComputationFailedError(f"the computation failed elsewhere with {message}")


def is_of(packed: bytes, ref: str) -> bool:
    """Whether a serialized exception belongs to a target, and not to another target with the same key.

    Example:
        >>> is_of(pack(KeyError(), {}, "catalog"), "catalog"), is_of(pack(KeyError(), {}, "catalog"), "prices")
        (True, False)
    """
    with suppress(orjson.JSONDecodeError, KeyError, TypeError):
        return bool(orjson.loads(packed)["ref"] == ref)
    return True


def lifetime_s(error: BaseException, known: Mapping[type[Exception], float]) -> float | None:
    """Return the ttl of a cached exception in seconds, by its nearest class; None if it is not cached.

    Example:
        >>> lifetime_s(KeyError(), {LookupError: 30, Exception: 5}), lifetime_s(SystemExit(), {Exception: 5})
        (30, None)
    """
    nearest = _nearest(error, known)
    return None if nearest is None else known[nearest]


def _plain_arguments(error: BaseException) -> list[Any]:
    if not all(type(argument) in _PLAIN for argument in error.args):
        return [redacted(str(error))]
    return [redacted(argument) if isinstance(argument, str) else argument for argument in error.args]


def _plain_attributes(error: BaseException) -> dict[str, Any]:
    plain = {name: value for name, value in vars(error).items() if type(value) in _PLAIN}
    return {name: redacted(value) if isinstance(value, str) else value for name, value in plain.items()}


def _create(kind: type[Exception], arguments: list[Any], attributes: dict[str, Any]) -> Exception:
    """Create the exception without a call of its constructor, which may have other parameters."""
    error = kind.__new__(kind, *arguments)
    error.args = tuple(arguments)
    vars(error).update(attributes)
    return error


def _nearest(error: BaseException, known: Mapping[type[Exception], float]) -> type[Exception] | None:
    return next((kind for kind in type(error).__mro__ if kind in known), None)
