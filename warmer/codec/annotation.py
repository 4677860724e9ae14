"""What a function's return annotation says, and the adapter that rebuilds values by it."""

import functools
import hashlib
import inspect
import re
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Optional, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter

UNKNOWN: Final = inspect.Signature.empty
"""Stands for a return annotation that is missing or cannot be resolved."""

FINGERPRINT_BYTES: Final = 4

_ADDRESS = re.compile(" at 0x[0-9a-fA-F]+")

_AS_EXACT_AS_JSON_ALLOWS = ConfigDict(ser_json_inf_nan="constants", ser_json_bytes="base64", val_json_bytes="base64")


def return_annotation(function: Callable[..., Any]) -> Any:
    """Return the annotation of what a call of the function gives, once awaited.

    Args:
        function: Any callable; an async function's annotation is what it returns.

    Returns:
        The resolved annotation; `UNKNOWN` where there is none, or none that can be resolved.

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
    """Resolve the return annotation alone: a parameter's may name what is imported for type checkers only."""

    def stand_in() -> None: ...

    stand_in.__annotations__ = {"return": function.__annotations__["return"]}
    return get_type_hints(stand_in, globalns=function.__globals__, include_extras=True)["return"]


def _awaited(annotation: Any) -> Any:
    while get_origin(annotation) in (Awaitable, Coroutine):
        annotation = get_args(annotation)[-1]
    return annotation


@dataclass(frozen=True, slots=True)
class Rebuilding:
    """How values are rebuilt, or why they cannot be.

    Args:
        adapter: Writes values and rebuilds them; None where the annotation does not allow it.
        advice: What to do with the annotation when a value was refused.
        fingerprint: Four bytes that tell the annotation's text from others: a value is rebuilt only by the one that it
            was written by.
        loses_order: Whether dicts may come back in another order: those of a TypedDict do.
    """

    adapter: TypeAdapter[Any] | None
    advice: str
    fingerprint: bytes = b""
    loses_order: bool = False


def rebuilding(annotation: Any) -> Rebuilding:
    """Return how values of this annotation are rebuilt.

    Args:
        annotation: A resolved return annotation, or `UNKNOWN`.

    Example:
        >>> rebuilding(UNKNOWN).advice
        "annotate the compute function's return type"
    """
    if annotation is UNKNOWN:
        return Rebuilding(None, "annotate the compute function's return type")
    name = inspect.formatannotation(annotation)
    try:
        adapter, loses_order = _adapter(annotation, name)
    except Exception as error:
        reason = str(error).partition("\n")[0].partition(". ")[0].rstrip(".")
        return Rebuilding(
            None, f"pydantic cannot rebuild the return annotation {name} ({reason}): annotate another type"
        )
    advice = f"let the return annotation, now {name}, say exactly what is returned"
    return Rebuilding(adapter, advice, fingerprint(name), loses_order)


def fingerprint(text: str) -> bytes:
    """Return four bytes that tell an annotation's text from others, in every process alike.

    Example:
        >>> fingerprint("set[int]").hex(), fingerprint("Annotated[f at 0x7fa8]") == fingerprint("Annotated[f at 0x1]")
        ('e34a0d0e', True)
    """
    return hashlib.blake2b(_ADDRESS.sub("", text).encode(), digest_size=FINGERPRINT_BYTES).digest()


@functools.lru_cache(maxsize=1024)
def _adapter(annotation: Any, name: str) -> tuple[TypeAdapter[Any], bool]:
    """Build an adapter, which takes a millisecond; by name as well, since ``int | str`` equals ``str | int``."""
    # Dataclasses and typed dicts take this configuration over from what holds them, not from the adapter itself.
    adapter: TypeAdapter[Any] = TypeAdapter(Optional[annotation], config=_AS_EXACT_AS_JSON_ALLOWS)  # noqa: UP045
    adapter.dump_python(None)  # raises if a name in it is still undefined
    return adapter, _holds_typed_dicts(adapter.core_schema)


def _holds_typed_dicts(schema: Any) -> bool:
    if isinstance(schema, dict):
        inner = (part for name, part in schema.items() if name not in ("metadata", "default"))
        return schema.get("type") == "typed-dict" or any(map(_holds_typed_dicts, inner))
    return isinstance(schema, list | tuple) and any(map(_holds_typed_dicts, schema))
