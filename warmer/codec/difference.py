"""Deep comparison of two values including their types: tells where a decoded value differs from the original."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import datetime, time, timezone
from decimal import Decimal
from enum import Enum
from functools import cached_property
from math import copysign, isnan
from types import NoneType
from typing import Any

from pydantic import BaseModel
from pydantic_core import TzInfo

_EQUAL_MEANS_SAME = frozenset({str, int, bool, bytes, NoneType})
_NAN = object()


def first_difference(value: Any, back: Any, *, is_loose: bool = False) -> str | None:
    """Describe the first difference between a value and its decoded copy.

    Args:
        value: The original value.
        back: The decoded value.
        is_loose: Whether to ignore the types of equal numbers and the order of dicts.

    Returns:
        One sentence with places and types, without contents, which may be secret. None if there is no difference; NaN
        equals NaN.

    Raises:
        RecursionError: the value contains itself, or is nested too deeply.

    Example:
        >>> first_difference({"price": Decimal("1.5")}, {"price": 1.5})
        "value['price'] is a Decimal and would come back as a float"
        >>> first_difference([1, True], [1, 1])
        'value[1] is a bool and would come back as an int'
        >>> first_difference([1, True], [1, 1], is_loose=True)
    """
    found = _difference(value, back, is_loose)
    return None if found is None else f"value{found}"


def type_named(value: Any) -> str:
    """Return the name of a value's type with its article, such as 'an int'."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeioAEIO' else 'a'} {name}"


def _difference(value: Any, back: Any, is_loose: bool) -> str | None:
    """Return the first difference as the rest of a sentence that begins with the name of the value."""
    if type(value) is not type(back):
        if is_loose and _is_same_number(value, back):
            return None
        return f" is {type_named(value)} and would come back as {type_named(back)}"
    if type(value) in _EQUAL_MEANS_SAME:
        return None if value == back else _changed(value)
    if isinstance(value, set | frozenset):
        return _difference_of_sets(value, back, is_loose)
    if is_dataclass(value) or isinstance(value, BaseModel):
        return _difference_of_parts(_state(value), _state(back), ".{}", value, is_loose)
    if isinstance(value, Mapping):
        back_items = _items_in_order_of(value, back) if is_loose and type(value) is dict else _items(back)
        found = _difference_of_parts(_items(value), back_items, "[{!r}]", value, is_loose)
        return found or _difference_of_parts(_settings(value), _settings(back), ".{}", value, is_loose)
    if isinstance(value, list | tuple | deque):
        found = _difference_of_parts(_elements(value), _elements(back), "[{!r}]", value, is_loose)
        return found or _difference_of_parts(_settings(value), _settings(back), ".{}", value, is_loose)
    return None if _is_same(value, back) else _changed(value, back)


def _is_same_number(value: Any, back: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, Enum)
    return is_number and type(back) in (int, float, bool) and bool(value == back)


def _changed(value: Any, back: Any = None) -> str:
    if isinstance(value, datetime | time) and value == back:
        return f" is {type_named(value)} and would come back in another time zone, or with another fold"
    return f" is {type_named(value)} and would come back as another one"


Parts = list[tuple[Any, Any]]


def _difference_of_parts(value_parts: Parts, back_parts: Parts, label: str, whole: Any, is_loose: bool) -> str | None:
    if len(value_parts) != len(back_parts):
        return _changed(whole)
    for (name, part), (back_name, back_part) in zip(value_parts, back_parts, strict=True):
        if found := _difference(name, back_name, is_loose):
            return f" (a key){found}"
        if found := _difference(part, back_part, is_loose):
            return label.format(name) + found
    return None


def _difference_of_sets(value: AbstractSet[Any], back: AbstractSet[Any], is_loose: bool) -> str | None:
    of_back = {_findable(element): element for element in back}
    of_value = {_findable(element): element for element in value}
    if len(value) != len(back) or of_value.keys() != of_back.keys():
        return _changed(value)
    for found_by, element in of_value.items():
        if found := _difference(element, of_back[found_by], is_loose):
            return f" (an element){found}"
    return None


def _findable(element: Any) -> Any:
    return element if element == element else _NAN  # only NaN differs from itself


def _elements(value: Any) -> Parts:
    return list(enumerate(value))


def _items(value: Any) -> Parts:
    return list(value.items())


def _items_in_order_of(value: dict[Any, Any], back: dict[Any, Any]) -> Parts:
    """Return the items of `back` in the key order of `value`, if both have the same keys."""
    if value.keys() != back.keys():
        return _items(back)
    own_keys = {key: key for key in back}
    return [(own_keys[key], back[key]) for key in value]


def _settings(value: Any) -> Parts:
    """Return the settings of a container, such as a deque's maxlen."""
    if isinstance(value, defaultdict):
        return [("default_factory", value.default_factory)]
    return [("maxlen", value.maxlen)] if isinstance(value, deque) else []


def _state(value: Any) -> Parts:
    """Return the fields and further attributes of a dataclass or model, by name."""
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
    """Whether an attribute is only the cached result of a `cached_property`."""
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
    """Return what must be equal about a time zone: its offset if it is fixed, else the zone itself."""
    is_fixed = moment.tzinfo is None or isinstance(moment.tzinfo, timezone | TzInfo) or moment.tzname() == "UTC"
    return moment.utcoffset() if is_fixed else moment.tzinfo
