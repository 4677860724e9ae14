"""What a read asks for."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from warmer.task import Target
from warmer.terms import Terms


class Wanted(NamedTuple):
    """A value that somebody wants: where it is cached, and how it is computed.

    Args:
        cache_key: Where it is cached.
        ref: Canonical text of its target; "" for a key without a task.
        find_terms: Says on which terms it is cached; asked only when that matters, which it does not for most hits.
        function: Computes it.
        arguments: The function's keyword arguments.
        target: Its target; None for a key without a task.
    """

    cache_key: str
    ref: str
    find_terms: Callable[[], Terms]
    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    target: Target | None

    @property
    def terms(self) -> Terms:
        """On which terms it is cached."""
        return self.find_terms()
