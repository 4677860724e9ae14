"""Key order of dicts: restored after decoding, because a TypedDict comes back in the order of its definition."""

from collections import deque
from collections.abc import Iterable
from dataclasses import is_dataclass
from typing import Any

from pydantic import BaseModel, RootModel


def restore_key_order(value: Any, native: Any) -> None:
    """Restore the key order of all dicts in a rebuilt value, in place.

    Args:
        value: The rebuilt value.
        native: The dicts, lists and scalars that it was rebuilt from.

    Example:
        >>> value = [{"a": 1, "b": 2}]
        >>> restore_key_order(value, [{"b": 2, "a": 1}])
        >>> value
        [{'b': 2, 'a': 1}]
    """
    if type(value) is dict and isinstance(native, dict):
        _restore_keys(value, native)
    for part, native_part in _parts(value, native):
        restore_key_order(part, native_part)


def _restore_keys(value: dict[Any, Any], native: dict[Any, Any]) -> None:
    if value.keys() == native.keys() and list(value) != list(native):
        own_keys = {key: key for key in value}
        ordered = {own_keys[key]: value[key] for key in native}
        value.clear()
        value.update(ordered)


def _parts(value: Any, native: Any) -> Iterable[tuple[Any, Any]]:
    """Return the parts of a value, each with its native part."""
    if isinstance(value, RootModel):
        return [(value.root, native)]
    if isinstance(native, list) and isinstance(value, list | tuple | deque):
        return zip(value, native, strict=False)
    if not isinstance(native, dict):
        return ()
    if isinstance(value, dict):
        return zip(value.values(), native.values(), strict=False)
    if is_dataclass(value) or isinstance(value, BaseModel):
        return [(getattr(value, name, None), part) for name, part in native.items() if isinstance(name, str)]
    return ()
