"""Values to bytes and back, without changing them silently."""

from typing import Any, Final

import orjson

from warmer.errors import CodecError

JSON: Final = 1

# Dates, dataclasses and subclasses would come back as something else: they are refused, not converted.
_STRICT = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS


def encode(key: str, value: Any) -> tuple[int, bytes]:
    """Return the number of the codec used and the value's bytes.

    Args:
        key: The cache key, for the message.
        value: Anything made of dict, list, str, int, float, bool and None.

    Raises:
        CodecError: the value holds something that JSON cannot bring back as it was.

    Example:
        >>> encode("catalog", {"price": 9.5})
        (1, b'{"price":9.5}')
    """
    try:
        payload = orjson.dumps(value, option=_STRICT)
        change = _first_change(value, orjson.loads(payload), "value")
    except (orjson.JSONEncodeError, RecursionError) as error:
        change = str(error)
    if change is not None:
        raise CodecError(
            f"the value for cache key {key!r} cannot be stored as JSON ({change}); "
            "return dicts, lists, strings, finite numbers, booleans or None"
        )
    return JSON, payload


def _first_change(value: Any, back: Any, where: str) -> str | None:
    """Say where and how a value comes back from JSON as something else; None if it comes back as it was."""
    if type(value) is dict:
        items: Any = ((value[key], back[key], f"{where}[{key!r}]") for key in value)
    elif type(value) is list:
        items = ((inner, back[index], f"{where}[{index}]") for index, inner in enumerate(value))
    elif type(value) is type(back) and value == back:
        return None
    else:
        return f"{where} is a {type(value).__name__} and would come back as {back!r}"[:300]
    return next((change for inner in items if (change := _first_change(*inner))), None)


def decode(codec: int, payload: bytes) -> Any:
    """Return the value that was encoded.

    Raises:
        CodecError: the codec is unknown or the bytes are not its own; readers treat that as a miss.

    Example:
        >>> decode(*encode("catalog", [1, None]))
        [1, None]
    """
    if codec != JSON:
        raise CodecError(f"an entry names codec {codec}, which this version does not know")
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise CodecError(f"an entry's payload is not JSON: {error}") from None
