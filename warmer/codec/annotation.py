"""Return annotations: resolves a function's annotation, and makes the pydantic adapter that rebuilds its values."""

import functools
import hashlib
import inspect
import re
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Optional, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter

UNKNOWN: Final = inspect.Signature.empty
"""Marks a return annotation that is missing or cannot be resolved."""

FINGERPRINT_BYTES: Final = 4

_ADDRESS = re.compile(" at 0x[0-9a-fA-F]+")

_AS_EXACT_AS_JSON_ALLOWS = ConfigDict(ser_json_inf_nan="constants", ser_json_bytes="base64", val_json_bytes="base64")


def return_annotation(function: Callable[..., Any]) -> Any:
    """Return the resolved return annotation of a sync or async function; `UNKNOWN` if it cannot be resolved.

    Example:
        >>> async def prices() -> "dict[int, float]": ...
        >>> return_annotation(prices)
        dict[int, float]
    """
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    if inspect.isclass(function):
        return function
    try:
        return _awaited(_resolved(function if hasattr(function, "__globals__") else type(function).__call__))
    except Exception:
        return UNKNOWN


def _resolved(function: Callable[..., Any]) -> Any:
    """Resolve only the return annotation: those of parameters may use names that only type checkers import."""

    def stand_in() -> None: ...

    stand_in.__annotations__ = {"return": function.__annotations__["return"]}
    return get_type_hints(stand_in, globalns=function.__globals__, include_extras=True)["return"]


def _awaited(annotation: Any) -> Any:
    while get_origin(annotation) in (Awaitable, Coroutine):
        annotation = get_args(annotation)[-1]
    return annotation


@dataclass(frozen=True, slots=True)
class Rebuilder:
    """Rebuilds values of one annotation, if pydantic can.

    Args:
        adapter: Writes and rebuilds values; None if pydantic cannot handle the annotation.
        advice: How to change the annotation, for the message about a rejected value.
        fingerprint: Four bytes of a hash of the annotation's text; a value is rebuilt only by the same annotation.
        loses_order: Whether dicts may come back in another key order, as those of a TypedDict do.
    """

    adapter: TypeAdapter[Any] | None
    advice: str
    fingerprint: bytes = b""
    loses_order: bool = False


def rebuilder_of(annotation: Any) -> Rebuilder:
    """Return how to rebuild values of a resolved annotation or `UNKNOWN`.

    Example:
        >>> rebuilder_of(UNKNOWN).advice
        "annotate the compute function's return type, with names that exist at run time (not under TYPE_CHECKING)"
    """
    if annotation is UNKNOWN:
        return Rebuilder(
            None,
            "annotate the compute function's return type, with names that exist at run time (not under TYPE_CHECKING)",
        )
    name = inspect.formatannotation(annotation)
    try:
        adapter, loses_order = _adapter(annotation, name)
    except Exception as error:
        reason = str(error).partition("\n")[0].partition(". ")[0].rstrip(".")
        return Rebuilder(
            None, f"pydantic cannot rebuild the return annotation {name} ({reason}): annotate another type"
        )
    advice = f"let the return annotation, now {name}, say exactly what is returned"
    return Rebuilder(adapter, advice, fingerprint(name), loses_order)


def fingerprint(text: str) -> bytes:
    """Return four bytes of a hash of an annotation's text; the same in every process.

    Example:
        >>> fingerprint("set[int]").hex(), fingerprint("Annotated[f at 0x7fa8]") == fingerprint("Annotated[f at 0x1]")
        ('e34a0d0e', True)
    """
    return hashlib.blake2b(_ADDRESS.sub("", text).encode(), digest_size=FINGERPRINT_BYTES).digest()


@functools.lru_cache(maxsize=1024)
def _adapter(annotation: Any, name: str) -> tuple[TypeAdapter[Any], bool]:
    """Make an adapter, which takes 1 ms; the name is in the cache key because ``int | str`` equals ``str | int``."""
    # Dataclasses and typed dicts inherit this configuration from the type around them, not from the adapter.
    adapter: TypeAdapter[Any] = TypeAdapter(Optional[annotation], config=_AS_EXACT_AS_JSON_ALLOWS)  # noqa: UP045
    adapter.dump_python(None)  # raises if a name in the annotation is undefined
    return adapter, _holds_typed_dicts(adapter.core_schema)


def _holds_typed_dicts(schema: Any) -> bool:
    if isinstance(schema, dict):
        inner = (part for name, part in schema.items() if name not in ("metadata", "default"))
        return schema.get("type") == "typed-dict" or any(map(_holds_typed_dicts, inner))
    return isinstance(schema, list | tuple) and any(map(_holds_typed_dicts, schema))
