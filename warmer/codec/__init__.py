"""Codec: values to bytes and back, without a silent change of type or content.

One byte in an entry's header is the codec number of its payload. An entry is decoded by this number and not by the
task's present codec, so that a task can change its codec while old entries are still read::

    1     plain JSON
    2     plain msgpack
    3     bytes
    4     a pickle after its signature
    5     a cached error, no value
    0x40  added to 1 or 2: typed; rebuilt by the function's return annotation, whose 4-byte fingerprint comes first
    0x80  added to any: the whole payload is compressed by zstd

Plain values (dicts with str keys, lists, str, numbers, bool, None) need no annotation, or one that describes nothing
else. All other values are written and rebuilt by the annotation, and only by the same one: after a deploy that changes
it, old entries are misses. None is always plain JSON. An entry that cannot be decoded raises `CodecError`, which
readers treat as a miss; messages contain places and types, but no contents.

Three details are lost, because they do not affect equality: which fields of a model were set explicitly, the class of a
fixed-offset time zone (UTC comes back as UTC), and whether two parts of a value were the same object. A time zone with
rules, such as Europe/Berlin, is rejected, because only its offset would come back.
"""

from typing import Any

from warmer.codec.codec import DEFAULT_MAX_VALUE_BYTES, Codec, Encoded, Kind
from warmer.codec.compression import MAX_DECOMPRESSED_BYTES
from warmer.codec.formats import ERROR, JSON

__all__ = ["DEFAULT_MAX_VALUE_BYTES", "ERROR", "JSON", "Codec", "Encoded", "Kind", "decode", "encode"]

_PLAIN_JSON = Codec(max_value_bytes=MAX_DECOMPRESSED_BYTES)


def encode(key: str, value: Any) -> tuple[int, bytes]:
    """Encode a plain JSON value; return its codec number and bytes.

    Args:
        key: The cache key, for messages.
        value: Made of dict, list, str, int, float, bool and None.

    Raises:
        CodecError: the value contains another type.

    Example:
        >>> encode("catalog", {"price": 9.5})
        (1, b'{"price":9.5}')
    """
    number, payload = _PLAIN_JSON.encode(key, value)
    return number, payload


def decode(codec: int, payload: bytes) -> Any:
    """Decode a plain JSON value.

    Args:
        codec: The codec number in the entry's header.
        payload: The bytes of the value.

    Raises:
        CodecError: the codec is unknown, or the bytes are not valid for it.

    Example:
        >>> decode(*encode("catalog", [1, None]))
        [1, None]
    """
    return _PLAIN_JSON.decode("", codec, payload)
