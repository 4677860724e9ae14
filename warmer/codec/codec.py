"""The codec of one task: encodes its values, and decodes entries by their codec number."""

import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from inspect import formatannotation
from typing import Any, ClassVar, Final, Literal, NamedTuple, get_args

import orjson
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from warmer.codec import formats
from warmer.codec.annotation import FINGERPRINT_BYTES, UNKNOWN, Rebuilder, rebuilder_of, return_annotation
from warmer.codec.compression import compressed, decompressed, max_decompressed_bytes
from warmer.codec.difference import first_difference, type_named
from warmer.codec.formats import FORMATS, JSON_FORMAT, MSGPACK_FORMAT, Format
from warmer.codec.key_order import restore_key_order
from warmer.codec.library_values import advice_for
from warmer.codec.plain_types import is_plain
from warmer.codec.signature import signed, verified
from warmer.errors import CodecError, InvalidTaskError, ValueTooLargeError

Kind = Literal["json", "msgpack", "bytes", "pickle"]

DEFAULT_MAX_VALUE_BYTES: Final = 16 * 1024 * 1024

MIN_SIGNING_KEY_BYTES: Final = 16

_STORED_AS: Final[dict[Kind, str]] = {"json": "JSON", "msgpack": "msgpack", "bytes": "bytes", "pickle": "a pickle"}
_PLAIN_TYPES: Final[dict[str, str]] = {
    "JSON": "dicts, lists, strings, finite numbers, booleans or None",
    "msgpack": "dicts, lists, strings, bytes, numbers, booleans or None",
}
_REBUILT: Final = {number | formats.TYPED: format_ for number, format_ in FORMATS.items()}
_KIND_BY_NUMBER: Final[dict[int, Kind]] = {formats.BYTES: "bytes", formats.PICKLE: "pickle"}
_MAX_PROBLEM_LENGTH: Final = 300

_PICKLE_REFUSES = re.compile("can(no|')t pickle ", re.IGNORECASE)


class Encoded(NamedTuple):
    """An encoded value.

    Args:
        number: The codec number for the entry's header.
        payload: The bytes of the value.
    """

    number: int
    payload: bytes


class _UnstorableError(Exception):
    """A value that would come back changed: the problem and the advice; `Codec.encode` adds the cache key."""

    def __init__(self, problem: str, advice: str) -> None:
        super().__init__(problem, advice)
        self.problem = problem
        self.advice = advice


@dataclass(frozen=True)
class Codec:
    """Encodes one task's values; decodes entries of any kind.

    Every kind stores None. Types that ``json`` and ``msgpack`` do not have (tuples, sets, dates, decimals, enums,
    dataclasses, models) are rebuilt by pydantic from the function's return annotation. A value that would still come
    back changed is rejected. An annotation that describes more than plain JSON must match exactly: other values, such
    as a dict in place of a model, are neither written nor read.

    Args:
        kind: ``json``; ``msgpack``, which also has bytes, scalar keys of any type, NaN and infinities; ``bytes``, for
            functions that return bytes; or ``pickle``, which needs a signing key.
        returns: The function's return annotation; `Codec.UNKNOWN` if there is none.
        compress_over_bytes: Payloads longer than this are compressed, if that makes them smaller; None for never.
        max_value_bytes: Maximum size of a stored value, after compression. Before compression a payload may have 64
            times as much, but at least 64 MiB and at most 512 MiB.
        signing_key: Secret of at least 16 bytes that signs pickles; without it no pickle is read.

    Raises:
        InvalidTaskError: an argument cannot be used.

    Example:
        >>> codec = Codec(returns=tuple[int, ...])
        >>> number, payload = codec.encode("numbers", (1, 2))
        >>> codec.decode("numbers", number, payload)
        (1, 2)
    """

    UNKNOWN: ClassVar[Any] = UNKNOWN

    kind: Kind = "json"
    returns: Any = UNKNOWN
    compress_over_bytes: int | None = None
    max_value_bytes: int = DEFAULT_MAX_VALUE_BYTES
    signing_key: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InvalidTaskError(f"codec: expected one of {', '.join(map(repr, get_args(Kind)))}, got {self.kind!r}")
        if self.compress_over_bytes is not None and self.compress_over_bytes < 0:
            raise InvalidTaskError(
                f"compress_over_bytes: expected a number of bytes or None, got {self.compress_over_bytes!r}"
            )
        if self.max_value_bytes < 1:
            raise InvalidTaskError(f"max_value_bytes: expected 1 byte or more, got {self.max_value_bytes!r}")
        if self.kind == "pickle" and self.signing_key is None:
            raise InvalidTaskError(
                "codec='pickle' needs a key to sign by, because reading a pickle runs code: "
                "set WARMER_PICKLE_KEY (`pickle_key`) to the same secret in every process, or choose another codec"
            )
        if self.signing_key is not None and len(self.signing_key) < MIN_SIGNING_KEY_BYTES:
            raise InvalidTaskError(
                f"WARMER_PICKLE_KEY (`pickle_key`): expected a secret of {MIN_SIGNING_KEY_BYTES} bytes or more, "
                f"got {len(self.signing_key)}; generate one with `openssl rand -hex 32`"
            )

    @classmethod
    def of(
        cls,
        function: Callable[..., Any],
        *,
        kind: Kind = "json",
        compress_over_bytes: int | None = None,
        max_value_bytes: int = DEFAULT_MAX_VALUE_BYTES,
        signing_key: bytes | None = None,
    ) -> "Codec":
        """Return the codec of a function, by its return annotation.

        Args:
            function: A sync or async compute function.
            kind: As for `Codec`.
            compress_over_bytes: As for `Codec`, in bytes.
            max_value_bytes: As for `Codec`.
            signing_key: As for `Codec`.

        Raises:
            InvalidTaskError: an argument cannot be used.

        Example:
            >>> def colours() -> set[str]: ...
            >>> Codec.of(colours).returns
            set[str]
        """
        return cls(kind, return_annotation(function), compress_over_bytes, max_value_bytes, signing_key)

    def encode(self, cache_key: str, value: Any) -> Encoded:
        """Encode a value.

        Args:
            cache_key: Its cache key, for messages and for a pickle's signature.
            value: The result of the function.

        Raises:
            CodecError: the value would come back changed, or cannot be written.
            ValueTooLargeError: it takes more than `max_value_bytes`.

        Example:
            >>> Codec().encode("catalog", {"price": 9.5})
            Encoded(number=1, payload=b'{"price":9.5}')
        """
        try:
            number, payload = self._write(cache_key, value)
        except _UnstorableError as refused:
            problem, advice = refused.problem, refused.advice
        except RecursionError:
            problem, advice = "it contains itself, or is nested too deeply", "return a flatter value"
        else:
            return self._compress(cache_key, number, payload)
        raise CodecError(
            f"the value for cache key {cache_key!r} cannot be stored as {_STORED_AS[self.kind]} "
            f"({problem[:_MAX_PROBLEM_LENGTH]}); {advice_for(value) or advice}"
        )

    def decode(self, cache_key: str, number: int, payload: bytes | memoryview) -> Any:
        """Decode the value of an entry.

        Args:
            cache_key: The cache key of the entry.
            number: The codec number in its header.
            payload: The bytes of the value.

        Raises:
            CodecError: it cannot be decoded; readers treat that as a miss.

        Example:
            >>> Codec().decode("catalog", 1, b'{"price":9.5}')
            {'price': 9.5}
        """
        if number == formats.JSON and (self.takes_plain or payload == b"null"):
            try:
                return orjson.loads(payload)
            except orjson.JSONDecodeError as error:
                raise CodecError(f"an entry's payload is not JSON: {error}") from None
        if number & formats.COMPRESSED:
            number &= ~formats.COMPRESSED
            self._check_readable(number)  # before memory is spent on decompression
            payload = decompressed(payload, max_decompressed_bytes(self.max_value_bytes))
        return self._read(cache_key, number, payload)

    @cached_property
    def takes_plain(self) -> bool:
        """Whether plain JSON is read as it is: the annotation describes nothing else, or there is none."""
        return is_plain(self.returns)

    @cached_property
    def _rebuilder(self) -> Rebuilder:
        """Made at first use, because most functions return plain JSON."""
        return rebuilder_of(self.returns)

    def _write(self, cache_key: str, value: Any) -> tuple[int, bytes]:
        if value is None:
            return formats.JSON, b"null"
        if self.kind == "bytes":
            return formats.BYTES, _require_bytes(value)
        if self.kind == "pickle":
            return formats.PICKLE, signed(self.signing_key or b"", cache_key, _pickle(value))
        format_ = JSON_FORMAT if self.kind == "json" else MSGPACK_FORMAT
        plain = format_.plain(value) if self.takes_plain else None
        if plain is not None:
            return format_.number, plain
        return format_.number | formats.TYPED, self._rebuilder.fingerprint + self._typed(format_, value)

    def _typed(self, format_: Format, value: Any) -> bytes:
        """Encode a value by its annotation, and check that it comes back unchanged."""
        adapter, advice = self._rebuilder.adapter, self._rebuilder.advice
        if self.takes_plain:
            advice = f"{advice}; or return {_PLAIN_TYPES[format_.name]}; or choose {_other_codecs(format_, value)}"
        if adapter is None:
            problem = format_.first_loss(value) if self.takes_plain else f"value is {type_named(value)}"
            raise _UnstorableError(problem, advice)
        try:
            payload = format_.dumps_typed(adapter, value)
            change = first_difference(value, self._load(format_, adapter, payload))
        except RecursionError:
            raise
        except Exception as error:
            raise _UnstorableError(_short(error), advice) from error
        if change is not None:
            raise _UnstorableError(change, advice)
        return payload

    def _load(self, format_: Format, adapter: TypeAdapter[Any], payload: bytes | memoryview) -> Any:
        value = format_.loads_typed(adapter, payload)
        if self._rebuilder.loses_order:
            restore_key_order(value, format_.natives(payload))
        return value

    def _compress(self, cache_key: str, number: int, payload: bytes) -> Encoded:
        """Compress a payload if it is configured and saves bytes, and check its size."""
        stored, encoded_bytes = payload, len(payload)
        is_large = self.compress_over_bytes is not None and encoded_bytes > self.compress_over_bytes
        if is_large and encoded_bytes <= max_decompressed_bytes(self.max_value_bytes):
            stored = compressed(payload) or payload
        if stored is not payload:
            number |= formats.COMPRESSED
        if len(stored) > self.max_value_bytes:
            shrunk = f", {len(stored)} compressed" if stored is not payload else ""
            raise ValueTooLargeError(
                f"the value for cache key {cache_key!r} takes {encoded_bytes} bytes{shrunk}; "
                f"at most {self.max_value_bytes} may be stored (max_value_bytes): store less under one key, "
                f"{'compress it (compress_over_bytes), ' if self.compress_over_bytes is None else ''}or raise the limit"
            )
        return Encoded(number, stored)

    def _check_readable(self, number: int) -> None:
        """Reject a codec number that this codec cannot decode."""
        if number == formats.ERROR:
            raise CodecError(f"an entry names codec {number}: it holds an error and no value")
        if number == formats.PICKLE and self.signing_key is None:
            raise CodecError("an entry is a pickle, and none is read without WARMER_PICKLE_KEY (`pickle_key`)")
        if number not in _REBUILT and number not in FORMATS and number not in _KIND_BY_NUMBER:
            raise CodecError(f"an entry names codec {number}, which this version does not know")
        if not (number in _REBUILT or self.takes_plain or _KIND_BY_NUMBER.get(number) == self.kind):
            name = formatannotation(self.returns)
            raise CodecError(f"an entry was not written by the return annotation, now {name}, and is not read by it")

    def _read(self, cache_key: str, number: int, payload: bytes | memoryview) -> Any:
        if number in _REBUILT:
            return self._rebuild(_REBUILT[number], payload)
        self._check_readable(number)
        if number == formats.BYTES:
            return bytes(payload)
        if number == formats.PICKLE:
            return self._unpickle(cache_key, bytes(payload))
        format_ = FORMATS[number]
        try:
            return format_.loads(payload)
        except Exception as error:
            raise CodecError(f"an entry's payload is not {format_.name}: {_short(error)}") from None

    def _rebuild(self, format_: Format, payload: bytes | memoryview) -> Any:
        adapter, advice = self._rebuilder.adapter, self._rebuilder.advice
        if adapter is None:
            raise CodecError(f"an entry has to be rebuilt by a return annotation; {advice}")
        if payload[:FINGERPRINT_BYTES] != self._rebuilder.fingerprint:
            raise CodecError("an entry was written by another return annotation than the function has now")
        try:
            return self._load(format_, adapter, payload[FINGERPRINT_BYTES:])
        except Exception as error:
            raise CodecError(f"an entry does not fit the return annotation: {_short(error)}") from None

    def _unpickle(self, cache_key: str, payload: bytes) -> Any:
        data = verified(self.signing_key or b"", cache_key, payload)
        try:
            return pickle.loads(data)  # noqa: S301 - signed by our key, for this cache key
        except Exception as error:
            raise CodecError(f"an entry's pickle cannot be read: {_short(error)}") from None


def _other_codecs(format_: Format, value: Any) -> str:
    """Return the codecs that take a value which a format refuses."""
    msgpack_takes_it = format_ is JSON_FORMAT and MSGPACK_FORMAT.plain(value) is not None
    return "codec='msgpack' or codec='pickle'" if msgpack_takes_it else "codec='pickle'"


def _require_bytes(value: Any) -> bytes:
    if type(value) is bytes:
        return value
    if isinstance(value, bytearray | memoryview):
        advice = "return bytes(value)"
    elif isinstance(value, str):
        advice = "return text.encode(), or choose codec='json'"
    else:
        advice = "return bytes or None, or choose codec='json'"
    raise _UnstorableError(f"value is {type_named(value)}, not bytes", advice)


def _pickle(value: Any) -> bytes:
    try:
        return pickle.dumps(value, protocol=5)
    except RecursionError:
        raise
    except Exception as error:
        raise _UnstorableError(_short(error), "return something that pickle can bring back") from error


def _short(error: Exception) -> str:
    """Describe an error in one line without any value, because messages may quote values."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = "".join(f"[{part!r}]" for part in first["loc"])
        return f"value{place} could not be rebuilt ({first['type']})"
    if isinstance(error, UnicodeError | PydanticSerializationError) and "surrogates" in str(error):
        return "a text in it has surrogates, which are not allowed"
    if isinstance(error, OverflowError) or _PICKLE_REFUSES.match(str(error)):
        return f"{type(error).__name__}: {error}"
    return type(error).__name__
