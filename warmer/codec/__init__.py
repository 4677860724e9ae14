"""Values to bytes and back, without changing them silently.

An entry's header says in one byte how its payload was written; reading goes by that number, whatever codec the
task has by now, so that a task's codec can change while old entries are still read::

    1     JSON, read as it is
    2     msgpack, read as it is
    3     the bytes themselves
    4     a pickle behind its signature
    5     not a value: kept for errors
    0x40  added to 1 or 2: to be rebuilt by the function's return annotation, whose fingerprint of 4 bytes comes first
    0x80  added to any: the whole payload is compressed by zstd

Numbers 1 and 2 alone are values of functions whose annotation describes nothing but plain JSON (dicts with texts as
keys, lists, texts, numbers, booleans, None; TypedDicts and unions of these; or nothing at all). Whatever else an
annotation says, a value is written and rebuilt by it, and only by the one that it was written by: after a deploy that
changes the annotation, what was cached before is a miss. Only None is always plain JSON.

What cannot be read (an unknown number, no annotation to rebuild by or another one, another signature, a broken frame,
one of more bytes than the task's limit allows) is a `CodecError`, which readers take for a miss. The messages name
places and types, never contents.

Three things are not kept, since they do not change what a value is equal to: which of a model's fields were set
explicitly, the class of a fixed-offset time zone (UTC comes back as UTC), and that two parts of a value were
one object. A zone with rules of its own, such as Europe/Berlin, is refused: only its offset would come back.
"""

from typing import Any

from warmer.codec.codec import DEFAULT_MAX_VALUE_BYTES, Codec, Encoded, Kind
from warmer.codec.compression import MAX_DECOMPRESSED_BYTES
from warmer.codec.formats import ERROR, JSON

__all__ = ["DEFAULT_MAX_VALUE_BYTES", "ERROR", "JSON", "Codec", "Encoded", "Kind", "decode", "encode"]

_PLAIN_JSON = Codec(max_value_bytes=MAX_DECOMPRESSED_BYTES)


def encode(key: str, value: Any) -> tuple[int, bytes]:
    """Return the number of the codec used and the value's bytes, for a function of which nothing is known.

    Args:
        key: The cache key, for the message.
        value: Anything made of dict, list, str, int, float, bool and None.

    Raises:
        CodecError: the value holds something that JSON cannot bring back as it was.

    Example:
        >>> encode("catalog", {"price": 9.5})
        (1, b'{"price":9.5}')
    """
    number, payload = _PLAIN_JSON.encode(key, value)
    return number, payload


def decode(codec: int, payload: bytes) -> Any:
    """Return the value that was encoded.

    Args:
        codec: The number that its header gives.
        payload: Its bytes.

    Raises:
        CodecError: the codec is unknown or the bytes are not its own; readers treat that as a miss.

    Example:
        >>> decode(*encode("catalog", [1, None]))
        [1, None]
    """
    return _PLAIN_JSON.decode("", codec, payload)
