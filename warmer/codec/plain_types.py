"""Plain annotations: those that describe only JSON types, so that values are read without a rebuild."""

from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping, MutableSequence, Sequence
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    ForwardRef,
    Literal,
    NewType,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import JsonValue

from warmer.codec.annotation import UNKNOWN

_ANYTHING: Final = (Any, object, JsonValue, UNKNOWN)
_SCALARS: Final = (str, int, float, bool, None, NoneType)
_LISTS: Final = (list, Sequence, MutableSequence, Collection, Iterable, Iterator)
_DICTS: Final = (dict, Mapping, MutableMapping)

_Seen = frozenset[int]


def is_plain(annotation: Any) -> bool:
    """Whether an annotation describes only dicts with str keys, lists, str, numbers, bool and None.

    Args:
        annotation: A resolved annotation; `UNKNOWN`, which allows anything, is plain.

    Example:
        >>> is_plain(dict[str, list[int] | None]), is_plain(tuple[int, ...])
        (True, False)
    """
    return _is_plain(annotation, frozenset())


def _is_plain(annotation: Any, seen: _Seen) -> bool:
    if any(annotation is one for one in (*_ANYTHING, *_SCALARS, *_LISTS, *_DICTS)):
        return True
    if isinstance(annotation, ForwardRef) or id(annotation) in seen:  # unresolved references are recursive ones
        return True
    if isinstance(annotation, NewType):
        return _is_plain(annotation.__supertype__, seen)
    if type(annotation).__name__ == "TypeAliasType":
        return _is_plain(annotation.__value__, seen | {id(annotation)})
    if isinstance(annotation, type) and issubclass(annotation, dict) and hasattr(annotation, "__total__"):
        return _is_plain_typed_dict(annotation, seen | {id(annotation)})
    if get_origin(annotation) is Annotated:
        return _is_plain(annotation.__origin__, seen) and not any(map(_may_change_type, annotation.__metadata__))
    return _is_plain_generic(get_origin(annotation), get_args(annotation), seen)


def _is_plain_generic(origin: Any, arguments: tuple[Any, ...], seen: _Seen) -> bool:
    if origin is Literal:
        return all(type(value) in _SCALARS for value in arguments)
    if origin in _DICTS and arguments:
        return _is_plain_key(arguments[0]) and _is_plain(arguments[1], seen)
    if origin in (*_DICTS, *_LISTS, Union, UnionType, Required, NotRequired):
        return all(_is_plain(argument, seen) for argument in arguments)
    return False


def _may_change_type(metadata: Any) -> bool:
    """Whether metadata of `Annotated` is a validator; limits and notes do not change the type."""
    return hasattr(metadata, "__get_pydantic_core_schema__")


def _is_plain_key(annotation: Any) -> bool:
    if isinstance(annotation, NewType):
        return _is_plain_key(annotation.__supertype__)
    if get_origin(annotation) is Literal:
        return all(type(value) is str for value in get_args(annotation))
    return annotation is str or any(annotation is one for one in _ANYTHING)


def _is_plain_typed_dict(annotation: type, seen: _Seen) -> bool:
    try:
        hints = get_type_hints(annotation, include_extras=True)
    except Exception:  # a name that only type checkers import
        return False
    return all(_is_plain(hint, seen) for hint in hints.values())
