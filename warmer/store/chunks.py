"""Slices of a list that one command takes without holding up Redis."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")

CHUNK = 500
"""Targets in one command: more would keep Redis from answering others."""


def chunks(items: Sequence[Item], size: int = CHUNK) -> Iterator[Sequence[Item]]:
    """Yield consecutive slices of a sequence.

    Args:
        items: The sequence.
        size: Items in each slice; the last one may have fewer.

    Example:
        >>> list(chunks("abcde", 2))
        ['ab', 'cd', 'e']
    """
    for first in range(0, len(items), size):
        yield items[first : first + size]
