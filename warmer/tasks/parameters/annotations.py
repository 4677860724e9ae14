"""Annotations of a task's function: resolved, and reduced to what JSON holds for them."""

import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel

from warmer.errors import InvalidTaskError

UNANNOTATED: Final = "any"
JSON: Final = "json"

TYPE_BY_KIND: Final[dict[str, Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "uuid": UUID,
    "date": date,
    "datetime": datetime,
    "decimal": Decimal,
}
_KIND_BY_TYPE: Final = {of_kind: kind for kind, of_kind in TYPE_BY_KIND.items()}

_PLAIN: Final = {
    "int": frozenset({int}),
    "float": frozenset({float}),
    "bool": frozenset({bool}),
    UNANNOTATED: frozenset({str, int}),
}
_TEXTS: Final = frozenset({str})

GATHERING: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
"""Kinds of parameters that take any number of arguments: ``*args`` and ``**kwargs``."""


def signature_of(function: Callable[..., Any]) -> inspect.Signature | None:
    """Return the signature; None where it cannot be read, as of some builtins."""
    try:
        return inspect.signature(function)
    except NameError:
        return _unevaluated_signature(function)
    except (ValueError, TypeError):
        return None


def _unevaluated_signature(function: Callable[..., Any]) -> inspect.Signature | None:
    """Return the signature where an annotation names what only type checkers import; Python 3.14 evaluates them."""
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        return inspect.signature(function, annotation_format=Format.FORWARDREF)
    return None


def annotations_of(function: Callable[..., Any], signature: inspect.Signature) -> dict[str, Any]:
    """Return the annotations that can be resolved; a parameter with another one counts as unannotated."""
    namespace = _globals(function)
    annotations = {}
    for name, parameter in signature.parameters.items():
        annotation = _evaluated(parameter, namespace)
        if annotation is not parameter.empty and parameter.kind not in GATHERING:
            annotations[name] = annotation
    return annotations


def _evaluated(parameter: inspect.Parameter, namespace: dict[str, Any]) -> Any:
    if parameter.annotation is parameter.empty:
        return parameter.empty
    holder = types.SimpleNamespace(__annotations__={"only": parameter.annotation})
    try:
        annotation = typing.get_type_hints(holder, namespace, include_extras=True)["only"]
        return annotation | None if parameter.default is None else annotation
    except Exception:  # whatever an annotation's text raises, it is no type
        return parameter.empty


def _globals(function: Any) -> dict[str, Any]:
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    if isinstance(function, type):
        function = function.__init__  # type: ignore[misc]  # the one that the signature was read from
    elif not hasattr(function, "__globals__"):
        function = type(function).__call__
    return getattr(function, "__globals__", {})


def kind_of(annotation: Any) -> str:
    """Return what JSON holds for an annotation, in one word.

    Example:
        >>> kind_of(int | None), kind_of(list[int])
        ('int?', 'json')
    """
    annotation = _bare(annotation)
    if isinstance(annotation, type) and annotation in _KIND_BY_TYPE:
        return _KIND_BY_TYPE[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _kind_of_values(member.value for member in annotation)
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return _kind_of_values(typing.get_args(annotation))
    if origin in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(annotation) if member is not type(None)]
        kind = kind_of(members[0]) if len(members) == 1 else JSON
        return kind if kind == JSON or kind.endswith("?") else f"{kind}?"
    return JSON


def _kind_of_values(values: Iterable[Any]) -> str:
    """Return what JSON holds for the members of an Enum or a Literal."""
    types_held = {type(value.value if isinstance(value, Enum) else value) for value in values}
    without_none = types_held - {type(None)}
    for of_type in (str, int, bool):
        if without_none == {of_type}:
            return _KIND_BY_TYPE[of_type] + ("" if types_held == without_none else "?")
    return JSON


def _bare(annotation: Any) -> Any:
    """Return an annotation without its metadata and names."""
    while True:
        if typing.get_origin(annotation) is typing.Annotated:
            annotation = typing.get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return annotation


def plain_types_of(kind: str) -> frozenset[type]:
    """Return the JSON types whose values stand in keys as they are, for a parameter of this kind."""
    return _PLAIN.get(kind.removesuffix("?"), _TEXTS)


def attribute_annotation(annotation: Any, attribute: str) -> Any:
    """Return the annotation of a class's attribute; Any where it has none.

    Raises:
        InvalidTaskError: all its attributes are known, and this is none of them.
    """
    owner = _bare(annotation)
    if typing.get_origin(owner) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(owner) if member is not type(None)]
        owner = _bare(members[0]) if len(members) == 1 else Any
    if not isinstance(owner, type):
        return Any
    if issubclass(owner, BaseModel) and attribute in owner.model_fields:
        return owner.model_fields[attribute].annotation
    found = getattr(owner, attribute, None)
    try:
        if isinstance(found, property):
            return typing.get_type_hints(found.fget).get("return", Any)
        hints = typing.get_type_hints(owner)
    except Exception:  # annotations that only type checkers can resolve
        return Any
    if attribute not in hints and found is None and _is_closed(owner):
        has = f"only {sorted(hints)}" if hints else "no such attribute"
        raise InvalidTaskError(f"the cache_key reads {attribute!r} of {owner.__name__}, which has {has}")
    return hints.get(attribute, Any)


def _is_closed(owner: type) -> bool:
    """Return whether instances of a class have only the attributes that it declares."""
    is_plain = owner is not object and owner.__module__ in ("builtins", "datetime", "decimal", "uuid")
    return is_plain or issubclass(owner, BaseModel) or is_dataclass(owner)
