"""Key templates: which fields they have, which key a set of arguments makes, and the one text of a value."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from string import Formatter
from typing import Any, Final

import orjson

from warmer.errors import InvalidTaskError
from warmer.tasks.json_values import MAX_INT, MIN_INT, json_native

MAX_KEY_CHARACTERS: Final = 512

UNTYPED: Final = frozenset({str, int})
"""Types of values that stand in keys as they are if a field's type is not known: people write such keys by hand."""

_MARK: Final = "%j"
"""Begins a value that is not a text; no text begins with it, since a ``%`` in texts is encoded as ``%25``."""

_HASH: Final = "hash"
_HASH_BYTES: Final = 16

_NOT_PLAIN = re.compile("[\x00-\x1f\ud800-\udfff]")  # a pattern, because every read checks its key


def is_plain_text(text: str) -> bool:
    """Return whether a text can be a key: it has no control characters, and can be encoded.

    Example:
        >>> is_plain_text("user:42"), is_plain_text(chr(10))
        (True, False)
    """
    return _NOT_PLAIN.search(text) is None


def canonical_json(name: str, native: Any) -> str:
    """Return the one text of a value: compact JSON with sorted keys.

    Args:
        name: Whose value it is, for the message.
        native: What JSON holds.

    Raises:
        InvalidTaskError: a text in it has lone surrogates.

    Example:
        >>> canonical_json("user", {"name": "Ann", "id": 42})
        '{"id":42,"name":"Ann"}'
    """
    try:
        return orjson.dumps(native, option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError as error:
        raise InvalidTaskError(f"argument {name!r} must be a value that JSON can hold: {error}") from None


@dataclass(frozen=True)
class Field:
    """One field of a template.

    Args:
        root: The argument that it names.
        attributes: The attributes that lead from the argument to the value.
        is_hashed: Whether the value stands as a digest.

    Example:
        >>> Field("user", ("address", "zip"), is_hashed=False).path
        'user.address.zip'
    """

    root: str
    attributes: tuple[str, ...]
    is_hashed: bool

    @cached_property
    def path(self) -> str:
        """The root and the attributes, with dots between."""
        return ".".join((self.root, *self.attributes))

    def value(self, arguments: Mapping[str, Any]) -> Any:
        """Return the value that the arguments give this field.

        Raises:
            InvalidTaskError: the argument is missing, or has no such attribute.
        """
        try:
            value = arguments[self.root]
            for attribute in self.attributes:
                value = getattr(value, attribute)
        except KeyError:
            raise InvalidTaskError(f"the key takes an argument {self.root!r}, got {sorted(arguments)}") from None
        except AttributeError as error:
            raise InvalidTaskError(
                f"the field {{{self.path}}} cannot be read ({error}); pass a value that has it. A process that does "
                "not know the task's function has no such values and cannot make this key."
            ) from None
        return value


@dataclass(frozen=True)
class Template:
    """A cache key with fields, such as ``"user:{user_id}"``, ``"cart:{user.id}"`` or ``"search:{query:hash}"``.

    A text stands in the key as it is, but for ``%`` and the template's separators, which are percent-encoded
    (``a:b`` in ``"user:{user_id}"`` makes ``user:a%3Ab``). Values that texts could be mistaken for are marked
    (``None`` makes ``user:%jnull``), so that different arguments never share a key. Where nothing is known of a
    field's type, 42 and ``"42"`` do share one, because people write such keys by hand; `identity` tells them apart.

    With ``:hash``, only a digest stands in the key; a target's ref, which workers are asked by, still holds the whole
    value, up to 8,192 bytes as JSON.

    Args:
        text: The template as it was written.
        literals: The texts around its fields, one more than there are fields.
        places: The fields, in their order.

    Example:
        >>> Template.parse("cart:{user_id}:{shop}").key({"user_id": 42, "shop": "north:1"})
        'cart:42:north%3A1'
    """

    text: str
    literals: tuple[str, ...]
    places: tuple[Field, ...]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Return the template that a text describes.

        Args:
            text: Fields stand in braces: ``{name}``, ``{name.attribute}``, each with ``:hash`` or without.

        Raises:
            InvalidTaskError: it is not a template, or different arguments could make the same key.

        Example:
            >>> Template.parse("cart:{user.id}:{shop}").fields
            ('shop', 'user')
        """
        if not is_plain_text(text):
            raise InvalidTaskError("control characters and lone surrogates are not allowed")
        literals, places = _parsed(text)
        if not all(_separators(literal) for literal in literals[1:-1]):
            raise InvalidTaskError(
                "different arguments could make the same key; put a separator such as ':' between fields"
            )
        return cls(text, literals, places)

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The names of the arguments that it takes, sorted; empty for a plain key."""
        return tuple(sorted({field.root for field in self.places}))

    @cached_property
    def has_attributes(self) -> bool:
        """Whether a field is an attribute of an argument, so that arguments that differ may make the same key."""
        return any(field.attributes for field in self.places)

    @cached_property
    def shape(self) -> str:
        """The template with nameless fields: two that differ only in names make the same keys."""
        return "{}".join(self.literals)

    def key(self, arguments: Mapping[str, Any], plain: Mapping[str, frozenset[type]] | None = None) -> str:
        """Return the key that these arguments make.

        Args:
            arguments: A value for each field's root.
            plain: By the path of a field, the JSON types whose values cannot be mistaken for others there and stand
                as they are; texts and whole numbers where it says nothing.

        Raises:
            InvalidTaskError: a value cannot stand in a key, or the key would be longer than 512 characters.

        Example:
            >>> Template.parse("user:{user_id}").key({"user_id": None})
            'user:%jnull'
        """
        if not self.places:
            return self.literals[0]
        known = plain or {}
        parts = [self.literals[0]]
        for field, literal in zip(self.places, self.literals[1:], strict=True):
            parts.append(self._standing(field, field.value(arguments), known.get(field.path, UNTYPED)))
            parts.append(literal)
        key = "".join(parts)
        if len(key) > MAX_KEY_CHARACTERS:
            raise InvalidTaskError(
                f"the key of {self.text!r} would be {len(key)} characters long; at most {MAX_KEY_CHARACTERS} are "
                f"allowed. Let long values stand as a digest: {{{self._longest(arguments, known)}:hash}}"
            )
        return key

    def identity(self, arguments: Mapping[str, Any]) -> tuple[str, ...]:
        """Return what tells these arguments from all others that could make a key of this template.

        Args:
            arguments: A value for each field's root.

        Returns:
            The canonical JSON of each field's value, in the fields' order.

        Raises:
            InvalidTaskError: a value is none that JSON can hold.

        Example:
            >>> Template.parse("user:{user_id}").identity({"user_id": "42"})
            ('"42"',)
        """
        return tuple([_canonical(field, field.value(arguments)) for field in self.places])

    def could_make(self, cache_key: str) -> bool:
        """Return whether the template makes such keys: its own separators never stand in the values between them.

        Example:
            >>> template = Template.parse("product:{product_id}")
            >>> template.could_make("product:42"), template.could_make("product:42:reviews")
            (True, False)
        """
        return self._pattern.fullmatch(cache_key) is not None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        excluded = re.escape("".join(set().union(*map(_separators, self.literals))))
        return re.compile((f"[^{excluded}]*" if excluded else ".*").join(map(re.escape, self.literals)))

    def _standing(self, field: Field, value: Any, plain: frozenset[type]) -> str:
        if field.is_hashed:
            return hashlib.blake2b(_canonical(field, value).encode(), digest_size=_HASH_BYTES).hexdigest()
        is_native = type(value) is str or (type(value) is int and MIN_INT <= value <= MAX_INT)
        native = value if is_native else json_native(field.path, value)
        if type(native) not in plain:
            return _MARK + canonical_json(field.path, native).translate(self._encoding)
        if type(native) is str:
            return _plain_text(field, native).translate(self._encoding)
        return canonical_json(field.path, native).translate(self._encoding)

    def _longest(self, arguments: Mapping[str, Any], plain: Mapping[str, frozenset[type]]) -> str:
        unhashed = [field for field in self.places if not field.is_hashed] or list(self.places)
        longest = max(
            unhashed,
            key=lambda field: len(self._standing(field, field.value(arguments), plain.get(field.path, UNTYPED))),
        )
        return longest.path

    @cached_property
    def _encoding(self) -> dict[int, str]:
        """The encoded text for each character that values must not contain."""
        encoded = set("%").union(*(_separators(literal) for literal in self.literals))
        return {ord(character): "".join(f"%{byte:02X}" for byte in character.encode()) for character in encoded}


def _plain_text(field: Field, text: str) -> str:
    if not is_plain_text(text):
        raise InvalidTaskError(
            f"argument {field.path!r} must be plain text without control characters, got {text[:60]!a}; "
            f"a field {{{field.path}:hash}} takes any"
        )
    return text


def _canonical(field: Field, value: Any) -> str:
    return canonical_json(field.path, json_native(field.path, value))


def _separators(literal: str) -> set[str]:
    """Return the characters of a template's text that values must not contain as they are."""
    return {character for character in literal if not character.isalnum() and character != "%"}


def _parsed(text: str) -> tuple[tuple[str, ...], tuple[Field, ...]]:
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise InvalidTaskError(f"not a key template ({error}); write {{{{ and }}}} for literal braces") from None
    literals, places = [""], []
    for literal, name, format_spec, conversion in parts:
        literals[-1] += literal
        if name is not None:
            places.append(_field(name, format_spec or "", conversion or ""))
            literals.append("")
    return tuple(literals), tuple(places)


def _field(name: str, format_spec: str, conversion: str) -> Field:
    root, *attributes = name.split(".")
    if not all(map(str.isidentifier, (root, *attributes))):
        raise InvalidTaskError(
            "a template's fields are plain names such as {user_id}, or attributes such as {user.id}, "
            f"not {{{name}}}"
        )
    if any(attribute.startswith("_") for attribute in attributes):
        raise InvalidTaskError(f"a template reads public attributes only, not {{{name}}}")
    if conversion or format_spec not in ("", _HASH):
        asked = (f"!{conversion}" if conversion else "") + (f":{format_spec}" if format_spec else "")
        raise InvalidTaskError(f"the only format of a template's field is {{{name}:hash}}, not {{{name}{asked}}}")
    return Field(root, tuple(attributes), format_spec == _HASH)
