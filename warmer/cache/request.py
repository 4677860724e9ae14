"""What a read asks for."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

from warmer.codec.entry import Header
from warmer.errors import InvalidTaskError
from warmer.refresh.cache_options import CacheOptions
from warmer.tasks.target import Target


class CacheRequest(NamedTuple):
    """A value that somebody wants: where it is cached, and how it is computed.

    Args:
        cache_key: Where it is cached.
        ref: Canonical text of its target; "" for a key without a task.
        find_terms: Says on which terms it is cached; asked only when that matters, which it does not for most hits.
        function: Computes it.
        arguments: The function's keyword arguments.
        target: Its target; None for a key without a task.
        takes_plain: Whether a value that was stored as plain JSON is one; not where the annotation says more.
    """

    cache_key: str
    ref: str
    find_terms: Callable[[], CacheOptions]
    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    target: Target | None
    takes_plain: bool = True

    @property
    def terms(self) -> CacheOptions:
        """On which terms it is cached."""
        return self.find_terms()

    @property
    def flight_name(self) -> Hashable:
        """What those who share one computation have in common: the same target, not only the same key."""
        target = self.target
        return self.cache_key if target is None else (self.cache_key, target.task.task_id, target.identity)

    def with_terms(self) -> "CacheRequest":
        """Return the same with its terms worked out."""
        terms = self.terms
        return self._replace(find_terms=lambda: terms)

    def is_in(self, header: Header) -> bool:
        """Say whether an entry is this target's; one written or asked for by key alone is whoever's the key is."""
        if not header.ref or not self.ref or header.ref == self.ref.encode():
            return True
        target = self.target
        if target is None or header.task_id != target.task.task_id.encode():
            return False
        try:
            return target.task.target_of_ref(header.ref.decode()).identity == target.identity
        except (InvalidTaskError, ValueError):  # of another version of the task
            return False
