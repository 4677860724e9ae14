"""What a task's function takes: arguments are validated, made canonical, and rebuilt from JSON by its annotations.

In canonical form, arguments that mean the same are the same: 42 and ``"42"`` for ``user_id: int``. What cannot come
back from JSON as it was is refused, so that a worker computes with just what the caller passed.
"""

import copy
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, PydanticUndefinedAnnotation, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from warmer.codec.difference import first_difference
from warmer.errors import InvalidTaskError
from warmer.tasks.template import Template, canonical_json, check_numbers, is_plain_text, json_native

UNANNOTATED: Final = "any"
JSON: Final = "json"

_TYPE_BY_KIND: Final[dict[str, Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "uuid": UUID,
    "date": date,
    "datetime": datetime,
    "decimal": Decimal,
}
_KIND_BY_TYPE: Final = {of_kind: kind for kind, of_kind in _TYPE_BY_KIND.items()}

_PLAIN: Final = {
    "int": frozenset({int}),
    "float": frozenset({float}),
    "bool": frozenset({bool}),
    UNANNOTATED: frozenset({str, int}),
}
_TEXTS: Final = frozenset({str})

_EXACT: Final = (str, int, float, bool, UUID, date)
"""Types whose values always come back from JSON as they were; those of a subclass do not."""

_UNTYPED_VALUES: Final = (str, int, float, bool, type(None))

_SOUND: Final = (int, float, bool, type(None))
"""Types whose values JSON holds if their numbers are in order."""

_REQUIRED: Final[Any] = object()
_UNSORTED: Final = ("set", "frozenset")

_ALLOWED: Final = (
    "str, int, float, bool, UUID, date, datetime, Decimal, an Enum, "
    "or pydantic models, dataclasses, lists and dicts of these"
)


class Parameter:
    """One parameter: takes anything that is a text, number, boolean or None, since nothing is known of its type.

    Args:
        name: Its name.
        kind: What JSON holds for it, in one word; ``"any"`` here.
        is_text_free: Whether its texts may hold any characters, because they stand in no key.

    Example:
        >>> Parameter("user_id").accept(42)
        42
    """

    def __init__(self, name: str, kind: str = UNANNOTATED, is_text_free: bool = False) -> None:
        """Start without a default."""
        self.name = name
        self.kind = kind
        self.default = _REQUIRED
        self._is_text_free = is_text_free

    def accept(self, value: Any) -> Any:
        """Return the canonical form of a value that a caller passed.

        Raises:
            InvalidTaskError: it is none that this parameter takes.
        """
        accepted = self._validated(value)
        self._check(self.dump(accepted))
        return accepted

    def dump(self, value: Any) -> Any:
        """Return what JSON holds for a value in canonical form."""
        return value

    def load(self, native: Any) -> Any:
        """Return the value that JSON holds, in canonical form.

        Raises:
            InvalidTaskError: it is none that this parameter takes.
        """
        return self.accept(native)

    def _validated(self, value: Any) -> Any:
        if type(value) not in _UNTYPED_VALUES:
            raise InvalidTaskError(
                f"argument {self.name!r} must be a str, int, float, bool or None, got {_type_name(value)}; for other "
                f"types, annotate it in the task's function with {_ALLOWED}"
            )
        return value

    def _check(self, native: Any) -> None:
        check_numbers(self.name, native)
        if type(native) is not str or self._is_text_free:
            if type(native) not in _SOUND:
                canonical_json(self.name, native)
        elif not is_plain_text(native):
            raise InvalidTaskError(
                f"argument {self.name!r} must be plain text without control characters, got "
                f"{_shortened(ascii(native))}; a field {{{self.name}:hash}} takes any"
            )


class JsonParameter(Parameter):
    """A parameter of which only JSON is known: the process that knows its type is another one.

    Example:
        >>> JsonParameter("user", "json").accept({"id": 42})
        {'id': 42}
    """

    def _validated(self, value: Any) -> Any:
        return json_native(self.name, value)


class TypedParameter(Parameter):
    """A parameter whose values are validated by an annotation.

    Args:
        name: Its name.
        kind: What JSON holds for it.
        annotation: Its annotation.
        adapter: Validates by the annotation.
        is_text_free: Whether its texts may hold any characters.

    Example:
        >>> TypedParameter("user_id", "int", int, TypeAdapter(int)).accept("42")
        42
    """

    def __init__(
        self, name: str, kind: str, annotation: Any, adapter: TypeAdapter[Any], is_text_free: bool = False
    ) -> None:
        """Start without a default."""
        super().__init__(name, kind, is_text_free)
        self._annotation = annotation
        self._adapter = adapter
        self._exact_type: type | None = annotation if isinstance(annotation, type) and annotation in _EXACT else None

    def accept(self, value: Any) -> Any:
        """Return the canonical form of a value that a caller passed: what comes back from JSON for it.

        Raises:
            InvalidTaskError: it does not fit the annotation, or would come back from JSON as something else.
        """
        accepted = self._validated(value)
        if self._exact_type is not None and not isinstance(accepted, self._exact_type):  # such as an Enum's own value
            raise InvalidTaskError(self._misfit(value))
        native = self.dump(accepted)
        self._check(native)
        return accepted if type(accepted) is self._exact_type else self._canonical(accepted, native)

    def dump(self, value: Any) -> Any:
        """Return what JSON holds for a value in canonical form.

        Raises:
            InvalidTaskError: JSON cannot hold it.
        """
        if type(value) is str or type(value) is int:
            return value
        try:
            return self._adapter.dump_python(value, mode="json", by_alias=False, round_trip=True, warnings="error")
        except PydanticSerializationError as error:
            raise InvalidTaskError(f"argument {self.name!r} must be a value that JSON can hold: {error}") from None

    def load(self, native: Any) -> Any:
        """Return the value that JSON holds, rebuilt by the annotation.

        Raises:
            InvalidTaskError: it does not fit the annotation.
        """
        loaded = self._rebuilt(native)
        self._check(self.dump(loaded))
        return loaded

    def _rebuilt(self, native: Any) -> Any:
        text = canonical_json(self.name, native)
        try:
            return self._adapter.validate_json(text, by_alias=False, by_name=True)
        except ValidationError as error:
            raise InvalidTaskError(self._refusal(native, error)) from None

    def _validated(self, value: Any) -> Any:
        try:
            return self._adapter.validate_python(value)
        except ValidationError as error:
            raise InvalidTaskError(self._refusal(value, error)) from None

    def _canonical(self, value: Any, native: Any) -> Any:
        """Return what workers will get for a value: equal to it, but 1.0 for a 1 in a field of floats, for one."""
        back = self._rebuilt(native)
        change = None if back is value else first_difference(value, back, is_loose=True)
        if change is not None or self.dump(back) != native:
            raise InvalidTaskError(
                f"argument {self.name!r} must come back from JSON as it was, but {_shortened(repr(value))} "
                f"({_type_name(value)}) would come back as {_shortened(repr(back))} ({_type_name(back)})"
                f"{'' if change is None else f': {change}'}; annotate it with types that JSON can tell apart, and "
                "pass moments in UTC or with a fixed offset"
            )
        return back

    def _refusal(self, value: Any, error: ValidationError) -> str:
        problem = error.errors(include_url=False, include_context=False)[0]
        inside = "".join(f".{part}" for part in problem["loc"] if isinstance(part, str) and part.isidentifier())
        return f"{self._misfit(value)} ({self.name}{inside}: {problem['msg']})"

    def _misfit(self, value: Any) -> str:
        annotation = getattr(self._annotation, "__name__", None) or repr(self._annotation)
        return f"argument {self.name!r} must be of type {_shortened(annotation)}, got {_shortened(repr(value))}"


@dataclass(frozen=True, eq=False)
class Parameters:
    """The parameters of a task's function that its key names.

    Args:
        by_name: Each of them, by name, sorted.
        positional: The names of all the function's parameters that can be passed by position, in order.
        ignored: The names of parameters with a default that are no fields, so that nobody may pass them.
        plain: By the path of a field, the JSON types whose values stand in keys as they are.
        is_typed: Whether anything is known of their types.

    Example:
        >>> def load(user_id: int): ...
        >>> parameters = Parameters.of(load, [Template.parse("user:{user_id}")])
        >>> parameters.bind(("42",), {})
        {'user_id': 42}
    """

    by_name: Mapping[str, Parameter]
    positional: tuple[str, ...]
    ignored: tuple[str, ...]
    plain: Mapping[str, frozenset[type]]
    is_typed: bool

    @classmethod
    def of(cls, function: Callable[..., Any], templates: Sequence[Template]) -> "Parameters":
        """Return what a function takes.

        Args:
            function: The task's function.
            templates: The key's template, then those of the tags.

        Raises:
            InvalidTaskError: the function and the key's template do not fit together; the message says how.

        Example:
            >>> Parameters.of(lambda day: day, [Template.parse("report:{day}")]).kinds
            {'day': 'any'}
        """
        signature = _signature(function)
        if signature is None:
            return cls.described({}, {}, templates)
        _check_fit(signature, templates[0].fields)
        annotations = _annotations(function, signature)
        by_name = {}
        for name in templates[0].fields:
            parameter = _parameter(
                name, annotations.get(name, Any), _is_text_free(name, templates), name in annotations
            )
            default = signature.parameters[name].default if name in signature.parameters else inspect.Parameter.empty
            if default is not inspect.Parameter.empty:
                parameter.default = parameter.accept(default)
            by_name[name] = parameter
        passable = signature.parameters.values()
        return cls(
            by_name,
            tuple(
                known.name for known in passable if known.kind in (known.POSITIONAL_ONLY, known.POSITIONAL_OR_KEYWORD)
            ),
            tuple(known.name for known in passable if known.name not in by_name and known.kind not in _GATHERING),
            _plain(templates, by_name, annotations),
            is_typed=True,
        )

    @classmethod
    def described(
        cls, kinds: Mapping[str, str], defaults: Mapping[str, Any], templates: Sequence[Template]
    ) -> "Parameters":
        """Return what a function takes that this process does not know, as a definition describes it.

        Args:
            kinds: What JSON holds for each parameter, such as ``"int"``; untyped where it says nothing.
            defaults: The values of parameters that can be left out, as JSON holds them.
            templates: The key's template, then those of the tags.

        Example:
            >>> parameters = Parameters.described({"user_id": "int"}, {}, [Template.parse("user:{user_id}")])
            >>> parameters.bind((), {"user_id": "42"})
            {'user_id': 42}
        """
        by_name = {}
        for name in templates[0].fields:
            parameter = _described(name, kinds.get(name, UNANNOTATED), _is_text_free(name, templates))
            if name in defaults:
                parameter.default = parameter.load(defaults[name])
            by_name[name] = parameter
        plain = {name: _plain_types(parameter.kind) for name, parameter in by_name.items()}
        return cls(by_name, (), (), plain, is_typed=bool(kinds))

    @property
    def kinds(self) -> dict[str, str]:
        """What JSON holds for each parameter.

        One of str, int, float, bool, uuid, date, datetime and decimal, with ``?`` where None can be given as well;
        "json" for anything else, and "any" for a parameter without annotation.
        """
        return {name: parameter.kind for name, parameter in self.by_name.items()}

    @property
    def defaults(self) -> dict[str, Any]:
        """The values of parameters that can be left out, as JSON holds them."""
        return {
            name: parameter.dump(parameter.default)
            for name, parameter in self.by_name.items()
            if parameter.default is not _REQUIRED
        }

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a call by name, in canonical form, with the defaults of those left out.

        Args:
            args: The positional arguments.
            kwargs: The keyword arguments.

        Raises:
            InvalidTaskError: one is missing, unknown, given twice or of no type that its parameter takes.
        """
        given = self._named(args, kwargs)
        bound = {}
        for name, parameter in self.by_name.items():
            if name in given:
                bound[name] = parameter.accept(given.pop(name))
            elif parameter.default is not _REQUIRED:
                bound[name] = copy.deepcopy(parameter.default)  # the function may change what it gets
            else:
                raise InvalidTaskError(self._misfit(args, kwargs))
        if given:
            raise InvalidTaskError(self._misfit(args, kwargs))
        return bound

    def dump(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what JSON holds for arguments in canonical form.

        Example:
            >>> def load(day: date): ...
            >>> Parameters.of(load, [Template.parse("report:{day}")]).dump({"day": date(2026, 11, 22)})
            {'day': '2026-11-22'}
        """
        return {name: self.by_name[name].dump(value) for name, value in values.items()}

    def load(self, natives: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that JSON holds, rebuilt by the annotations.

        Args:
            natives: What `dump` returned, here or in another process.

        Raises:
            InvalidTaskError: one is missing, unknown, or does not fit its annotation.

        Example:
            >>> def load(day: date): ...
            >>> Parameters.of(load, [Template.parse("report:{day}")]).load({"day": "2026-11-22"})
            {'day': datetime.date(2026, 11, 22)}
        """
        missing = [
            name for name, parameter in self.by_name.items() if name not in natives and parameter.default is _REQUIRED
        ]
        if missing or natives.keys() - self.by_name.keys():
            raise InvalidTaskError(self._misfit((), natives))
        return {
            name: parameter.load(natives[name]) if name in natives else copy.deepcopy(parameter.default)
            for name, parameter in self.by_name.items()
        }

    def _named(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        if len(args) > len(self.positional):
            raise InvalidTaskError(
                f"takes at most {len(self.positional)} arguments by position, got {len(args)}; pass them by name"
            )
        given = dict(zip(self.positional, args, strict=False))
        if twice := given.keys() & kwargs.keys():
            raise InvalidTaskError(f"got the arguments {sorted(twice)} twice, by position and by name")
        given.update(kwargs)
        return given

    def _misfit(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        given = self._named(args, kwargs)
        said = f"takes the arguments {list(self.by_name)}, got {sorted(given)}"
        if dropped := [name for name in self.ignored if name in given]:
            return (
                f"{said}: calls that differ in {dropped} would share a key; "
                f"add {_fields_of(dropped)} to the cache_key, or leave them out"
            )
        return said


_GATHERING: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _check_fit(signature: inspect.Signature, fields: Sequence[str]) -> None:
    """Refuse a template that names what the function does not take, or leaves out what it needs."""
    parameters = signature.parameters.values()
    by_keyword = {known.name for known in parameters if known.kind in (known.POSITIONAL_OR_KEYWORD, known.KEYWORD_ONLY)}
    takes_any = any(known.kind is known.VAR_KEYWORD for known in parameters)
    unknown = [name for name in fields if name not in by_keyword]
    if unknown and not takes_any:
        raise InvalidTaskError(
            f"the cache_key has the fields {unknown}, but compute_fn takes only {sorted(by_keyword)} by name; "
            "name its parameters in the key, or add these to the function"
        )
    needed = [known.name for known in parameters if known.default is known.empty and known.kind not in _GATHERING]
    left_out = [name for name in needed if name not in fields]
    if left_out:
        raise InvalidTaskError(
            f"compute_fn needs the arguments {left_out}, which the cache_key does not name, so calls that differ in "
            f"them would share a key; add {_fields_of(left_out)} to the cache_key, or give them a default"
        )
    if hidden := [name for name in fields if name in needed and name not in by_keyword]:
        raise InvalidTaskError(f"compute_fn takes {hidden} by position only; workers pass arguments by name")


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
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


def _annotations(function: Callable[..., Any], signature: inspect.Signature) -> dict[str, Any]:
    """Return the annotations that can be resolved; a parameter with another one counts as unannotated."""
    namespace = _globals(function)
    annotations = {}
    for name, parameter in signature.parameters.items():
        annotation = _evaluated(parameter, namespace)
        if annotation is not parameter.empty and parameter.kind not in _GATHERING:
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


def _parameter(name: str, annotation: Any, is_text_free: bool, is_annotated: bool) -> Parameter:
    if not is_annotated:
        return Parameter(name, is_text_free=is_text_free)
    try:
        adapter = _adapter(annotation)
    except (PydanticUndefinedAnnotation, NameError):
        return Parameter(name, is_text_free=is_text_free)
    except (PydanticUserError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise InvalidTaskError(
            f"parameter {name!r} of compute_fn must be annotated with {_ALLOWED}, got {_shortened(repr(annotation))} "
            f"({reason})"
        ) from None
    if _holds_sets(adapter.core_schema):
        raise InvalidTaskError(
            f"parameter {name!r} of compute_fn must not hold sets, got {_shortened(repr(annotation))}: their order "
            "differs between processes; annotate it with a list, and pass it sorted"
        )
    return TypedParameter(name, _kind(annotation), annotation, adapter, is_text_free)


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(annotation, config=ConfigDict(coerce_numbers_to_str=True))
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":  # models have a configuration of their own
            raise
        return TypeAdapter(annotation)


@functools.cache
def _adapter_of_kind(kind: str) -> tuple[Any, TypeAdapter[Any]]:
    annotation = _TYPE_BY_KIND[kind.removesuffix("?")]
    if kind.endswith("?"):
        annotation = annotation | None
    return annotation, _adapter(annotation)


def _described(name: str, kind: str, is_text_free: bool) -> Parameter:
    if kind == UNANNOTATED:
        return Parameter(name, is_text_free=is_text_free)
    if kind.removesuffix("?") not in _TYPE_BY_KIND:
        return JsonParameter(name, JSON, is_text_free)
    annotation, adapter = _adapter_of_kind(kind)
    return TypedParameter(name, kind, annotation, adapter, is_text_free)


def _kind(annotation: Any) -> str:
    """Return what JSON holds for an annotation, in one word."""
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
        kind = _kind(members[0]) if len(members) == 1 else JSON
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


def _plain_types(kind: str) -> frozenset[type]:
    return _PLAIN.get(kind.removesuffix("?"), _TEXTS)


def _plain(
    templates: Sequence[Template], by_name: Mapping[str, Parameter], annotations: Mapping[str, Any]
) -> dict[str, frozenset[type]]:
    """Return by the path of each field the JSON types whose values cannot be mistaken for others there."""
    plain = {}
    for field in (field for template in templates for field in template.places if field.root in by_name):
        kind = by_name[field.root].kind
        if field.attributes and field.root in annotations:
            kind = _kind(functools.reduce(_attribute_annotation, field.attributes, annotations[field.root]))
        plain[field.path] = _plain_types(kind)
    return plain


def _attribute_annotation(annotation: Any, attribute: str) -> Any:
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
    """Say whether nothing but what a class declares can be an attribute of its instances."""
    is_plain = owner is not object and owner.__module__ in ("builtins", "datetime", "decimal", "uuid")
    return is_plain or issubclass(owner, BaseModel) or is_dataclass(owner)


def _is_text_free(name: str, templates: Sequence[Template]) -> bool:
    """Say whether a parameter stands in no key or tag as it is."""
    standing = [field for template in templates for field in template.places if field.root == name]
    return all(field.is_hashed or field.attributes for field in standing)


def _holds_sets(schema: Any) -> bool:
    if isinstance(schema, dict):
        if schema.get("type") in _UNSORTED:
            return True
        return any(_holds_sets(inner) for name, inner in schema.items() if name not in ("metadata", "default"))
    return isinstance(schema, list | tuple) and any(map(_holds_sets, schema))


def _fields_of(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


def _type_name(value: Any) -> str:
    return type(value).__name__


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"
