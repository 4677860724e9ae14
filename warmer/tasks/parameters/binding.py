"""Parameters of a task's function: a call's arguments by name, in canonical form.

In canonical form, arguments that mean the same are the same: 42 and ``"42"`` for ``user_id: int``. A value that cannot
come back from JSON as it was is refused, so that a worker computes with exactly what the caller passed.
"""

import copy
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from warmer.errors import InvalidTaskError
from warmer.tasks.json_values import MAX_INT, MIN_INT
from warmer.tasks.parameters.annotations import (
    GATHERING,
    UNANNOTATED,
    annotations_of,
    attribute_annotation,
    kind_of,
    plain_types_of,
    signature_of,
)
from warmer.tasks.parameters.parameter import REQUIRED, Parameter, described_parameter, parameter_of
from warmer.tasks.template import Template, is_plain_text

_NATIVE: Final = (str, int)
"""Types whose values JSON holds as they are."""


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
        signature = signature_of(function)
        if signature is None:
            return cls.described({}, {}, templates)
        _check_fit(signature, templates[0].fields)
        annotations = annotations_of(function, signature)
        by_name = {}
        for name in templates[0].fields:
            parameter = parameter_of(
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
            tuple(known.name for known in passable if known.name not in by_name and known.kind not in GATHERING),
            _plain_by_path(templates, by_name, annotations),
            is_typed=True,
        )

    @classmethod
    def described(
        cls,
        kinds: Mapping[str, str],
        defaults: Mapping[str, Any],
        templates: Sequence[Template],
        positional: Sequence[str] = (),
    ) -> "Parameters":
        """Return what a function takes that this process does not know, as a definition describes it.

        Args:
            kinds: What JSON holds for each parameter, such as ``"int"``; untyped where it says nothing.
            defaults: The values of parameters that can be left out, as JSON holds them.
            templates: The key's template, then those of the tags.
            positional: The names of the parameters that can be passed by position, in order; none if not known.

        Example:
            >>> parameters = Parameters.described({"user_id": "int"}, {}, [Template.parse("user:{user_id}")])
            >>> parameters.bind((), {"user_id": "42"})
            {'user_id': 42}
        """
        by_name = {}
        for name in templates[0].fields:
            parameter = described_parameter(name, kinds.get(name, UNANNOTATED), _is_text_free(name, templates))
            if name in defaults:
                parameter.default = parameter.load(defaults[name])
            by_name[name] = parameter
        plain = {name: plain_types_of(parameter.kind) for name, parameter in by_name.items()}
        return cls(by_name, tuple(positional), (), plain, is_typed=bool(kinds))

    @property
    def kinds(self) -> dict[str, str]:
        """The kind of JSON value of each parameter.

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
            if parameter.default is not REQUIRED
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
                value = given.pop(name)
                bound[name] = value if _is_canonical(parameter, value) else parameter.accept(value)
            elif parameter.default is not REQUIRED:
                bound[name] = copy.deepcopy(parameter.default)  # the function may change what it gets
            else:
                raise InvalidTaskError(self._misfit(args, kwargs))
        if given:
            raise InvalidTaskError(self._misfit(args, kwargs))
        return bound

    def dump(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what JSON holds for arguments in canonical form.

        Example:
            >>> from datetime import date
            >>> def load(day: date): ...
            >>> Parameters.of(load, [Template.parse("report:{day}")]).dump({"day": date(2026, 11, 22)})
            {'day': '2026-11-22'}
        """
        return {
            name: value if type(value) in _NATIVE else self.by_name[name].dump(value) for name, value in values.items()
        }

    def load(self, natives: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that JSON holds, rebuilt by the annotations.

        Args:
            natives: What `dump` returned, here or in another process.

        Raises:
            InvalidTaskError: one is missing, unknown, or does not fit its annotation.

        Example:
            >>> from datetime import date
            >>> def load(day: date): ...
            >>> Parameters.of(load, [Template.parse("report:{day}")]).load({"day": "2026-11-22"})
            {'day': datetime.date(2026, 11, 22)}
        """
        missing = [
            name for name, parameter in self.by_name.items() if name not in natives and parameter.default is REQUIRED
        ]
        if missing or natives.keys() - self.by_name.keys():
            raise InvalidTaskError(self._misfit((), natives))
        loaded = {}
        for name, parameter in self.by_name.items():
            native = natives.get(name, REQUIRED)
            if native is REQUIRED:
                loaded[name] = copy.deepcopy(parameter.default)
            else:
                loaded[name] = native if _is_canonical(parameter, native) else parameter.load(native)
        return loaded

    def _named(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        if args and not self.positional:
            raise InvalidTaskError(f"the order of {list(self.by_name)} is not known here: pass arguments by name")
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
        problem = f"takes the arguments {list(self.by_name)}, got {sorted(given)}"
        if dropped := [name for name in self.ignored if name in given]:
            return (
                f"{problem}: calls that differ in {dropped} would share a key; "
                f"add {_fields_of(dropped)} to the cache_key, or leave them out"
            )
        return problem


def _is_canonical(parameter: Parameter, value: Any) -> bool:
    """Whether a value needs no validation: it has just the type of the annotation, and JSON and keys can hold it."""
    if type(value) is not parameter.exact_type:
        return False
    if type(value) is int:
        return MIN_INT <= value <= MAX_INT
    return type(value) is str and not parameter.is_text_free and is_plain_text(value)


def _check_fit(signature: inspect.Signature, fields: Sequence[str]) -> None:
    """Refuse a template that names what the function does not take, or leaves out what it needs."""
    parameters = signature.parameters.values()
    by_keyword = {known.name for known in parameters if known.kind in (known.POSITIONAL_OR_KEYWORD, known.KEYWORD_ONLY)}
    takes_any = any(known.kind is known.VAR_KEYWORD for known in parameters)
    if hidden := [known.name for known in parameters if known.kind is known.POSITIONAL_ONLY and known.name in fields]:
        raise InvalidTaskError(
            f"compute_fn takes {hidden} by position only; workers pass arguments by name: remove the / behind them"
        )
    if gathered := [known.name for known in parameters if known.kind is known.VAR_POSITIONAL and known.name in fields]:
        raise InvalidTaskError(
            f"compute_fn takes *{gathered[0]}; workers pass arguments by name: take one parameter, such as "
            f"{gathered[0]}: tuple[int, ...]"
        )
    unknown = [name for name in fields if name not in by_keyword]
    if unknown and not takes_any:
        raise InvalidTaskError(
            f"the cache_key has the fields {unknown}, but compute_fn takes only {sorted(by_keyword)} by name; "
            "name its parameters in the key, or add these to the function"
        )
    needed = [known.name for known in parameters if known.default is known.empty and known.kind not in GATHERING]
    left_out = [name for name in needed if name not in fields]
    if left_out:
        raise InvalidTaskError(
            f"compute_fn needs the arguments {left_out}, which the cache_key does not name, so calls that differ in "
            f"them would share a key; add {_fields_of(left_out)} to the cache_key, or give them a default"
        )


def _plain_by_path(
    templates: Sequence[Template], by_name: Mapping[str, Parameter], annotations: Mapping[str, Any]
) -> dict[str, frozenset[type]]:
    """Return by the path of each field the JSON types whose values cannot be mistaken for others there."""
    plain = {}
    for field in (field for template in templates for field in template.places if field.root in by_name):
        kind = by_name[field.root].kind
        if field.attributes and field.root in annotations:
            kind = kind_of(functools.reduce(attribute_annotation, field.attributes, annotations[field.root]))
        plain[field.path] = plain_types_of(kind)
    return plain


def _is_text_free(name: str, templates: Sequence[Template]) -> bool:
    """Return whether a parameter stands in no key or tag as it is."""
    standing = [field for template in templates for field in template.places if field.root == name]
    return all(field.is_hashed or field.attributes for field in standing)


def _fields_of(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)
