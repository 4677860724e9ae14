"""Arguments as JSON values: converted and checked."""

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from warmer.errors import InvalidTaskError

MIN_INT: Final = -(2**63)
MAX_INT: Final = 2**63 - 1
"""Whole numbers beyond 64 bits do not come back from Redis."""


def json_native(name: str, value: Any) -> Any:
    """Return a value as what JSON holds: texts, numbers, booleans, None, and lists and dicts of these.

    Args:
        name: Whose value it is, for the message.
        value: One of these, or a UUID, date, Decimal, enum member, dataclass, pydantic model and the like.

    Raises:
        InvalidTaskError: the value has no such form, or holds a set, whose order differs between processes, or a number
            that is not finite or does not fit into 64 bits.

    Example:
        >>> from decimal import Decimal
        >>> json_native("price", Decimal("1.00"))
        '1.00'
    """
    if type(value) is str or (type(value) is int and MIN_INT <= value <= MAX_INT):
        return value
    try:
        native = to_jsonable_python(value, by_alias=False, round_trip=True)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidTaskError(f"argument {name!r} must be a value that JSON can hold: {error}") from None
    if isinstance(native, list | dict) and _holds_sets(value):
        raise InvalidTaskError(
            f"argument {name!r} must not hold sets, whose order differs between processes; pass a sorted list"
        )
    check_numbers(name, native)
    return native


def _holds_sets(value: Any) -> bool:
    if isinstance(value, AbstractSet):
        return True
    if isinstance(value, Mapping):
        return any(map(_holds_sets, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_holds_sets, value))
    if isinstance(value, BaseModel):
        return any(_holds_sets(part) for _, part in value)
    return is_dataclass(value) and any(_holds_sets(getattr(value, field.name)) for field in fields(value))


def check_numbers(name: str, native: Any) -> None:
    """Refuse numbers that would not come back from JSON, or not from Redis.

    Args:
        name: Whose value it is, for the message.
        native: What JSON holds.

    Raises:
        InvalidTaskError: a number is not finite, or does not fit into 64 bits.

    Example:
        >>> check_numbers("user_id", 42)
    """
    if isinstance(native, int):
        if not MIN_INT <= native <= MAX_INT:
            raise InvalidTaskError(f"argument {name!r} must fit into 64 bits, got a larger number")
    elif isinstance(native, float):
        if not math.isfinite(native):
            raise InvalidTaskError(f"argument {name!r} must be a finite number, got {native}")
    elif isinstance(native, dict | list):
        for inner in native.values() if isinstance(native, dict) else native:
            check_numbers(name, inner)
