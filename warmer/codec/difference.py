"""Where and how two values differ: deeply, and with their types."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import datetime, time, timezone
from decimal import Decimal
from functools import cached_property
from math import copysign, isnan
from types import NoneType
from typing import Any

from pydantic import BaseModel
from pydantic_core import TzInfo

_EQUAL_MEANS_SAME = frozenset({str, int, bool, bytes, NoneType})
_NAN = object()


def first_difference(value: Any, back: Any) -> str | None:
    """Say where and how a value comes back as something else.

    Args:
        value: The value.
        back: What came back for it.

    Returns:
        One sentence about the first difference; None if it comes back as it was. NaN equals NaN.

    Raises:
        RecursionError: the value contains itself, or is nested too deeply.

    Example:
        >>> first_difference({"price": Decimal("1.5")}, {"price": 1.5})
        "value['price'] is a Decimal and would come back as 1.5"
        >>> first_difference([1, True], [1, 1])
        'value[1] is a bool and would come back as 1'
    """
    found = _difference(value, back)
    return None if found is None else f"value{found}"


def type_named(value: Any) -> str:
    """Return the name of a value's type, with its article.

    Example:
        >>> type_named(1), type_named("")
        ('an int', 'a str')
    """
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeioAEIO' else 'a'} {name}"


def _difference(value: Any, back: Any) -> str | None:
    """Return the first difference, as what follows the value's own name in a sentence."""
    if type(value) is not type(back):
        return f" is {type_named(value)} and would come back as {back!r}"
    if type(value) in _EQUAL_MEANS_SAME:
        return None if value == back else _changed(value, back)
    if isinstance(value, set | frozenset):
        return _difference_of_sets(value, back)
    if is_dataclass(value) or isinstance(value, BaseModel):
        return _difference_of_parts(value, back, _state, ".{}")
    if isinstance(value, Mapping | list | tuple | deque):
        parts = _items if isinstance(value, Mapping) else _elements
        return _difference_of_parts(value, back, parts, "[{!r}]") or _difference_of_parts(value, back, _rule, ".{}")
    return None if _is_same(value, back) else _changed(value, back)


def _changed(value: Any, back: Any) -> str:
    return f" is {value!r} and would come back as {back!r}"


Parts = list[tuple[Any, Any]]


def _difference_of_parts(value: Any, back: Any, parts: Callable[[Any], Parts], label: str) -> str | None:
    value_parts, back_parts = parts(value), parts(back)
    if len(value_parts) != len(back_parts):
        return _changed(value, back)
    for (name, part), (back_name, back_part) in zip(value_parts, back_parts, strict=True):
        if found := _difference(name, back_name):
            return f" (key {name!r}){found}"
        if found := _difference(part, back_part):
            return label.format(name) + found
    return None


def _difference_of_sets(value: AbstractSet[Any], back: AbstractSet[Any]) -> str | None:
    of_back = {_findable(element): element for element in back}
    of_value = {_findable(element): element for element in value}
    if len(value) != len(back) or of_value.keys() != of_back.keys():
        return _changed(value, back)
    for found_by, element in of_value.items():
        if found := _difference(element, of_back[found_by]):
            return f" (element {element!r}){found}"
    return None


def _findable(element: Any) -> Any:
    return element if element == element else _NAN  # only NaN is not itself


def _elements(value: Any) -> Parts:
    return list(enumerate(value))


def _items(value: Any) -> Parts:
    return list(value.items())


def _rule(value: Any) -> Parts:
    """Return what a container does beyond holding its parts."""
    if isinstance(value, defaultdict):
        return [("default_factory", value.default_factory)]
    return [("maxlen", value.maxlen)] if isinstance(value, deque) else []


def _state(value: Any) -> Parts:
    """Return the fields of a dataclass or model, and whatever else was put into it, by name."""
    if isinstance(value, BaseModel):
        names: Iterable[str] = type(value).model_fields
        further = (value.__pydantic_extra__ or {}) | (value.__pydantic_private__ or {})
    else:
        names = [field.name for field in fields(value)]
        further = {}
    state = {name: getattr(value, name) for name in names}
    others = (
        {name: part for name, part in vars(value).items() if not _is_cached(value, name)} if _has_vars(value) else {}
    )
    return list((state | others | further).items())


def _has_vars(value: Any) -> bool:
    return hasattr(value, "__dict__")


def _is_cached(value: Any, name: str) -> bool:
    """Say whether an attribute is only the memory of a property, computed again when asked for."""
    return isinstance(getattr(type(value), name, None), cached_property)


def _is_same(value: Any, back: Any) -> bool:
    if isinstance(value, float):
        return (isnan(value) and isnan(back)) or (bool(value == back) and copysign(1, value) == copysign(1, back))
    if isinstance(value, Decimal):
        return bool(value.as_tuple() == back.as_tuple())
    if isinstance(value, datetime | time):
        return bool(value == back) and value.fold == back.fold and _zone(value) == _zone(back)
    return bool(value == back)


def _zone(moment: datetime | time) -> object:
    """Return what has to be the same about a time zone: its offset, and of one with rules of its own the rules."""
    is_fixed = moment.tzinfo is None or isinstance(moment.tzinfo, timezone | TzInfo) or moment.tzname() == "UTC"
    return moment.utcoffset() if is_fixed else moment.tzinfo
