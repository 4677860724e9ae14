"""What is left of an exception that was raised elsewhere: in another process, or by an earlier computation."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson

from warmer.errors import ComputationFailedError, described, redacted

MOST_BYTES = 4096
"""An exception whose arguments take more is kept by what it said, shortened."""

_PLAIN = (str, int, float, bool, type(None))


def name_of(kind: type[BaseException]) -> str:
    """Return the name by which a class of exceptions is known in all processes.

    Example:
        >>> name_of(KeyError)
        'builtins.KeyError'
    """
    return f"{kind.__module__}.{kind.__qualname__}"


def pack(error: BaseException, known: Mapping[type[Exception], float], ref: str = "") -> bytes:
    """Return an exception as bytes: its class's name, what is plain of its arguments and attributes, what it said.

    Args:
        error: The exception.
        known: The classes as which it may be raised again; the nearest of them is the one that is named.
        ref: Canonical text of the target whose computation raised it.

    Example:
        >>> restored(pack(KeyError("no such product"), {KeyError: 30}), {KeyError: 30})
        KeyError('no such product')
    """
    kind, said = _nearest(error, known), described(error)
    record = {"kind": name_of(kind or type(error)), "arguments": [said], "attributes": {}, "said": said, "ref": ref}
    if kind is None:  # it will only be quoted
        return orjson.dumps(record)
    with suppress(orjson.JSONEncodeError):  # a lone surrogate, or a number beyond 64 bits
        packed = orjson.dumps({**record, "arguments": _plain_arguments(error), "attributes": _plain_attributes(error)})
        if len(packed) <= MOST_BYTES:
            return packed
    return orjson.dumps(record)


def restored(packed: bytes, known: Mapping[type[Exception], float]) -> Exception:
    """Return an exception again.

    Args:
        packed: From `pack`.
        known: The classes that may be raised again: only those that the task itself names, or nothing in Redis could
            be trusted.

    Returns:
        An instance of a known class, or else a `ComputationFailedError` that quotes it.
    """
    try:
        record: dict[str, Any] = orjson.loads(packed)
        kind, said = record["kind"], record["said"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ComputationFailedError("the computation failed elsewhere; how was not understood here")
    for candidate in known:
        if name_of(candidate) == kind:
            with suppress(Exception):  # of a class that is made in a way of its own
                return _made(candidate, record["arguments"], record["attributes"])
    return ComputationFailedError(f"the computation failed elsewhere with {said}")


def is_of(packed: bytes, ref: str) -> bool:
    """Say whether a failure is that of a target, and not of another that happens to have the same key.

    Example:
        >>> is_of(pack(KeyError(), {}, "catalog"), "catalog"), is_of(pack(KeyError(), {}, "catalog"), "prices")
        (True, False)
    """
    with suppress(orjson.JSONDecodeError, KeyError, TypeError):
        return bool(orjson.loads(packed)["ref"] == ref)
    return True


def lifetime_s(error: BaseException, known: Mapping[type[Exception], float]) -> float | None:
    """Return for how long an exception is cached, by the nearest of its classes; None if it is not.

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


def _made(kind: type[Exception], arguments: list[Any], attributes: dict[str, Any]) -> Exception:
    """Return an exception as it was: its constructor has had its say when it was raised."""
    error = kind.__new__(kind, *arguments)
    error.args = tuple(arguments)
    vars(error).update(attributes)
    return error


def _nearest(error: BaseException, known: Mapping[type[Exception], float]) -> type[Exception] | None:
    return next((kind for kind in type(error).__mro__ if kind in known), None)
