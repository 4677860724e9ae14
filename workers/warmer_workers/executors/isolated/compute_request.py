"""Compute request: the message by which a worker has a child process compute targets of one task."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from warmer.codec import DEFAULT_MAX_VALUE_BYTES

BYTE_FOR_BYTE = "latin-1"
"""An encoding in which any bytes are a text, and come back unchanged."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ComputeRequest:
    """Targets of one task, to be computed in an isolated process; two requests are never equal.

    The functions and exception classes come from this process's registry, never from Redis.

    Args:
        definition: The task's definition, the JSON of Redis.
        compute_path: The compute function, ``"module:function"``.
        compute_many_path: The batch function, if the task has one.
        cache_errors: The exception classes that are cached, with their ttl in seconds.
        refs: Canonical texts of the targets.
        timeout_s: Seconds after which one computation by an async function is cancelled.
        max_value_bytes: Maximum size of a value, unless the task has its own.
        signing_key: Signs pickles.

    Example:
        >>> ComputeRequest(definition=b"{}", compute_path="shop:load", refs=("catalog",), timeout_s=60).refs
        ('catalog',)
    """

    definition: bytes
    compute_path: str
    compute_many_path: str | None = None
    cache_errors: Mapping[type[Exception], float] = field(default_factory=dict)
    refs: tuple[str, ...]
    timeout_s: float
    max_value_bytes: int = DEFAULT_MAX_VALUE_BYTES
    signing_key: bytes | None = field(default=None, repr=False)

    def task_as_json(self) -> bytes:
        """Return all fields but the targets, as `child_main` reads them."""
        return orjson.dumps(
            {
                "definition": self.definition.decode(),
                "compute_path": self.compute_path,
                "compute_many_path": self.compute_many_path,
                "cache_errors": {
                    f"{kind.__module__}:{kind.__qualname__}": seconds for kind, seconds in self.cache_errors.items()
                },
                "timeout_s": self.timeout_s,
                "max_value_bytes": self.max_value_bytes,
                "signing_key": None if self.signing_key is None else self.signing_key.decode(BYTE_FOR_BYTE),
            }
        )
