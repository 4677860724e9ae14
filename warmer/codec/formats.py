"""The codec numbers, and the two structured formats: JSON and msgpack.

A format writes plain values as they are, and all others by their annotation.
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum
from math import isfinite
from types import NoneType
from typing import Any, Final

import msgpack
import orjson
from pydantic import TypeAdapter
from pydantic_core import from_json, to_jsonable_python

from warmer.codec.difference import type_named

# Codec numbers in an entry's header: wire format, so a number never gets a new meaning.
JSON: Final = 1
MSGPACK: Final = 2
BYTES: Final = 3
PICKLE: Final = 4
ERROR: Final = 5
"""An entry with this number holds a cached error, not a value."""

TYPED: Final = 0x40
"""Added to JSON or MSGPACK: rebuilt by the return annotation whose fingerprint begins the payload."""

COMPRESSED: Final = 0x80
"""Added to any: the whole payload is one zstd frame."""

_CONTAINERS: Final = frozenset({dict, list})
_REJECTIONS: Final = (TypeError, ValueError, OverflowError)


@dataclass(frozen=True, slots=True)
class Format:
    """A format for structured values.

    Args:
        name: Its name in messages.
        number: Its codec number.
        scalars: The scalar types that it keeps.
        keys: The types that it allows as keys of dicts.
        has_nan: Whether it has NaN and infinities.
        dumps: Writes a plain value, or raises TypeError, ValueError or OverflowError.
        loads: Reads a plain value; may raise any exception.
        dumps_typed: Writes any value by an adapter.
        loads_typed: Rebuilds a value by an adapter.
        natives: Reads the dicts, lists and scalars from which a value is rebuilt.
    """

    name: str
    number: int
    scalars: frozenset[type]
    keys: frozenset[type]
    has_nan: bool
    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes | memoryview], Any]
    dumps_typed: Callable[[TypeAdapter[Any], Any], bytes]
    loads_typed: Callable[[TypeAdapter[Any], bytes | memoryview], Any]
    natives: Callable[[bytes | memoryview], Any]

    def plain(self, value: Any) -> bytes | None:
        """Write a value that comes back unchanged; return None for any other value.

        Raises:
            RecursionError: the value contains itself, or is nested too deeply.

        Example:
            >>> JSON_FORMAT.plain([1, "a"]), JSON_FORMAT.plain((1, "a"))
            (b'[1,"a"]', None)
        """
        if not self._is_plain(value):
            return None
        try:
            return self.dumps(value)
        except _REJECTIONS:
            return None

    def _is_plain(self, value: Any) -> bool:
        if type(value) is dict:
            return self.keys.issuperset(map(type, value)) and self._are_plain(value.values())
        return self._are_plain(value if type(value) is list else (value,))

    def _are_plain(self, parts: Collection[Any]) -> bool:
        """Whether all parts are plain; scalars are checked by their types at once, for speed."""
        kinds = set(map(type, parts))
        if not kinds - _CONTAINERS <= self.scalars:
            return False
        if float in kinds and not self.has_nan and not all(isfinite(part) for part in parts if type(part) is float):
            return False
        return kinds.isdisjoint(_CONTAINERS) or all(self._is_plain(part) for part in parts if type(part) in _CONTAINERS)

    def first_loss(self, value: Any) -> str:
        """Describe the first part of a value that would come back changed, after `plain` has returned None.

        Raises:
            RecursionError: the value contains itself, or is nested too deeply.

        Example:
            >>> JSON_FORMAT.first_loss({"at": (1, 2)})
            "value['at'] is a tuple and would come back as a list"
        """
        found = self._loss(value)
        return f"it is nested too deeply for {self.name}" if found is None else f"value{found}"

    def _loss(self, value: Any) -> str | None:
        if type(value) is dict:
            if unusable := [key for key in value if not self._is_key(key)]:
                return f" has a key that is {type_named(unusable[0])}, and no key in {self.name}"
            return next((f"[{key!r}]{loss}" for key, part in value.items() if (loss := self._loss(part))), None)
        if type(value) is list:
            return next((f"[{index}]{loss}" for index, part in enumerate(value) if (loss := self._loss(part))), None)
        return None if self.plain(value) is not None else self._loss_of_scalar(value)

    def _is_key(self, key: Any) -> bool:
        return type(key) in self.keys and self.plain(key) is not None

    def _loss_of_scalar(self, value: Any) -> str:
        try:
            return f" is {type_named(value)} and would come back as {type_named(self.loads(self.dumps(value)))}"
        except _REJECTIONS as error:
            reason = _reason(error) if type(value) in self.scalars else f"{self.name} has no such type"
            return f" is {type_named(value)}: {reason}"


def _reason(error: Exception) -> str:
    """Return the reason of an error, without the character that a Unicode error quotes."""
    return error.reason if isinstance(error, UnicodeEncodeError) else str(error)


# Dates, dataclasses and subclasses would come back as other types: they are rejected, not converted.
_STRICT = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS


def _json_dumps(value: Any) -> bytes:
    return orjson.dumps(value, option=_STRICT)


# Fields are written by name, because a model's aliases for reading and writing may differ.
def _json_dumps_typed(adapter: TypeAdapter[Any], value: Any) -> bytes:
    return adapter.dump_json(value, by_alias=False, round_trip=True, warnings=False)


def _json_loads_typed(adapter: TypeAdapter[Any], payload: bytes | memoryview) -> Any:
    return adapter.validate_json(bytes(payload), by_alias=False, by_name=True)


def _json_natives(payload: bytes | memoryview) -> Any:
    return from_json(bytes(payload))  # also reads NaN


JSON_FORMAT: Final = Format(
    name="JSON",
    number=JSON,
    scalars=frozenset({str, int, float, bool, NoneType}),
    keys=frozenset({str}),
    has_nan=False,
    dumps=_json_dumps,
    loads=orjson.loads,
    dumps_typed=_json_dumps_typed,
    loads_typed=_json_loads_typed,
    natives=_json_natives,
)


def _msgpack_dumps(value: Any) -> bytes:
    return bytes(msgpack.packb(value, strict_types=True))


def _msgpack_loads(payload: bytes | memoryview) -> Any:
    return msgpack.unpackb(payload, strict_map_key=False)


def _msgpack_dumps_typed(adapter: TypeAdapter[Any], value: Any) -> bytes:
    leaves = adapter.dump_python(value, by_alias=False, round_trip=True, warnings=False)
    return bytes(msgpack.packb(leaves, strict_types=True, default=_msgpack_default))


def _msgpack_loads_typed(adapter: TypeAdapter[Any], payload: bytes | memoryview) -> Any:
    return adapter.validate_python(_msgpack_loads(payload), by_alias=False, by_name=True)


def _msgpack_default(value: Any) -> Any:
    """Convert a type that msgpack does not have; called again for the parts of containers."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | deque | AbstractSet):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    return to_jsonable_python(value)


MSGPACK_FORMAT: Final = Format(
    name="msgpack",
    number=MSGPACK,
    scalars=frozenset({str, int, float, bool, NoneType, bytes}),
    keys=frozenset({str, int, float, bool, NoneType, bytes}),
    has_nan=True,
    dumps=_msgpack_dumps,
    loads=_msgpack_loads,
    dumps_typed=_msgpack_dumps_typed,
    loads_typed=_msgpack_loads_typed,
    natives=_msgpack_loads,
)

FORMATS: Final = {format_.number: format_ for format_ in (JSON_FORMAT, MSGPACK_FORMAT)}
