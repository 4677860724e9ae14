"""What a worker asks of a child: the targets of one task to compute, and all that it takes to compute them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from warmer.codec import DEFAULT_MAX_VALUE_BYTES

BYTE_FOR_BYTE = "latin-1"
"""Any bytes are a text in it, and come back as they were."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ComputeRequest:
    """Some targets of one task, to be computed in a process of its own; two orders are never equal.

    Args:
        definition: The task's definition, JSON as Redis has it.
        compute_path: The compute function, ``"module:function"``: from this process's own registry, never from Redis.
        compute_many_path: The function that computes many at once, if the task has one; from there, too.
        cache_errors: Exceptions that are cached, each for so many seconds; from there, too.
        refs: Canonical texts of the targets.
        timeout_s: Seconds after which one computation by an async function is cancelled.
        max_value_bytes: No value may take more bytes, unless the task says otherwise.
        signing_key: What pickles are signed with.

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
        """Return all but the targets, as `warmer_workers.executors.isolated.child_main` reads it."""
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
