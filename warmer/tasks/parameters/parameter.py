"""One parameter of a task's function: validates a value, makes it canonical, and rebuilds it from JSON."""

import functools
from datetime import date
from typing import Any, Final
from uuid import UUID

from pydantic import ConfigDict, PydanticUndefinedAnnotation, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from warmer.codec.difference import first_difference
from warmer.errors import InvalidTaskError, shortened
from warmer.tasks.json_values import check_numbers, json_native
from warmer.tasks.parameters.annotations import JSON, TYPE_BY_KIND, UNANNOTATED, kind_of
from warmer.tasks.template import canonical_json, is_plain_text

REQUIRED: Final[Any] = object()

_ALLOWED: Final = (
    "str, int, float, bool, UUID, date, datetime, Decimal, an Enum, "
    "or pydantic models, dataclasses, lists and dicts of these"
)

_EXACT: Final = (str, int, float, bool, UUID, date)
"""Types whose values always come back from JSON as they were; those of a subclass do not."""

_UNSORTED: Final = ("set", "frozenset")

_UNTYPED_VALUES: Final = (str, int, float, bool, type(None))

_SOUND: Final = (int, float, bool, type(None))
"""Types whose values JSON holds if their numbers are in order."""


class Parameter:
    """One parameter: takes anything that is a text, number, boolean or None, since nothing is known of its type.

    Args:
        name: Its name.
        kind: What JSON holds for it, in one word; ``"any"`` here.
        is_text_free: Whether its texts may hold any characters, because they stand in no key.

    Attributes:
        exact_type: Its annotation, if values of just this type always come back from JSON as they were.

    Example:
        >>> Parameter("user_id").accept(42)
        42
    """

    def __init__(self, name: str, kind: str = UNANNOTATED, is_text_free: bool = False) -> None:
        """Start without a default."""
        self.name = name
        self.kind = kind
        self.default = REQUIRED
        self.exact_type: type | None = None
        self.is_text_free = is_text_free

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
        if type(native) is not str or self.is_text_free:
            if type(native) not in _SOUND:
                canonical_json(self.name, native)
        elif not is_plain_text(native):
            raise InvalidTaskError(
                f"argument {self.name!r} must be plain text without control characters, got "
                f"{shortened(ascii(native))}; a field {{{self.name}:hash}} takes any"
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
        self.exact_type = annotation if isinstance(annotation, type) and annotation in _EXACT else None

    def accept(self, value: Any) -> Any:
        """Return the canonical form of a value that a caller passed: what comes back from JSON for it.

        Raises:
            InvalidTaskError: it does not fit the annotation, or would come back from JSON as something else.
        """
        accepted = self._validated(value)
        if self.exact_type is not None and not isinstance(accepted, self.exact_type):  # such as an Enum's own value
            raise InvalidTaskError(self._misfit(value))
        native = self.dump(accepted)
        self._check(native)
        return accepted if type(accepted) is self.exact_type else self._canonical(accepted, native)

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
                f"argument {self.name!r} must come back from JSON as it was, but {shortened(repr(value))} "
                f"({_type_name(value)}) would come back as {shortened(repr(back))} ({_type_name(back)})"
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
        return f"argument {self.name!r} must be of type {shortened(annotation)}, got {shortened(repr(value))}"


def parameter_of(name: str, annotation: Any, is_text_free: bool, is_annotated: bool) -> Parameter:
    """Return the parameter of a function that this process knows.

    Args:
        name: Its name.
        annotation: Its annotation, resolved.
        is_text_free: Whether its texts may hold any characters.
        is_annotated: Whether it has an annotation at all.

    Raises:
        InvalidTaskError: values of this type cannot be arguments of a target.
    """
    if not is_annotated:
        return Parameter(name, is_text_free=is_text_free)
    try:
        adapter = _adapter(annotation)
    except (PydanticUndefinedAnnotation, NameError):
        return Parameter(name, is_text_free=is_text_free)
    except (PydanticUserError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise InvalidTaskError(
            f"parameter {name!r} of compute_fn must be annotated with {_ALLOWED}, got {shortened(repr(annotation))} "
            f"({reason})"
        ) from None
    if _holds_sets(adapter.core_schema):
        raise InvalidTaskError(
            f"parameter {name!r} of compute_fn must not hold sets, got {shortened(repr(annotation))}: their order "
            "differs between processes; annotate it with a list, and pass it sorted"
        )
    return TypedParameter(name, kind_of(annotation), annotation, adapter, is_text_free)


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(annotation, config=ConfigDict(coerce_numbers_to_str=True))
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":  # models have a configuration of their own
            raise
        return TypeAdapter(annotation)


@functools.cache
def _adapter_of_kind(kind: str) -> tuple[Any, TypeAdapter[Any]]:
    annotation = TYPE_BY_KIND[kind.removesuffix("?")]
    if kind.endswith("?"):
        annotation = annotation | None
    return annotation, _adapter(annotation)


def described_parameter(name: str, kind: str, is_text_free: bool) -> Parameter:
    """Return the parameter of a function that only a definition describes.

    Args:
        name: Its name.
        kind: What JSON holds for it, such as ``"int"`` or ``"int?"``.
        is_text_free: Whether its texts may hold any characters.
    """
    if kind == UNANNOTATED:
        return Parameter(name, is_text_free=is_text_free)
    if kind.removesuffix("?") not in TYPE_BY_KIND:
        return JsonParameter(name, JSON, is_text_free)
    annotation, adapter = _adapter_of_kind(kind)
    return TypedParameter(name, kind, annotation, adapter, is_text_free)


def _holds_sets(schema: Any) -> bool:
    if isinstance(schema, dict):
        if schema.get("type") in _UNSORTED:
            return True
        return any(_holds_sets(inner) for name, inner in schema.items() if name not in ("metadata", "default"))
    return isinstance(schema, list | tuple) and any(map(_holds_sets, schema))


def _type_name(value: Any) -> str:
    return type(value).__name__
