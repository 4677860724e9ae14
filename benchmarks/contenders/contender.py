"""A contender: a way to read a cached value, as the users of its library write it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

TTL_S = 3600

Compute = Callable[[str], Any]
"""Computes the value of a key; of asynchronous contenders, a coroutine function."""

Side = Literal["base", "ours", "rival", "floor"]


class Many(NamedTuple):
    """A way to read many keys at once."""

    name: str
    read: Callable[[Sequence[str]], Any]


@dataclass(frozen=True, slots=True)
class Contender:
    """One row of a table. The functions of an asynchronous contender return awaitables.

    Args:
        name: What the row is called.
        side: Whether it is the baseline, ours, a rival's or the floor.
        ask: Returns the value of a key, and computes and caches it if it is missing.
        hit: Returns the value of a key that is cached; `ask` when not given.
        many: Reads many keys at once, if the library can.
        around: Made and entered around each run of hits.
        has_misses: Whether its misses are a row of their own.
    """

    name: str
    side: Side
    ask: Callable[[str], Any]
    hit: Callable[[str], Any] | None = None
    many: Many | None = None
    around: Callable[[], AbstractContextManager[Any]] = nullcontext
    has_misses: bool = True

    @property
    def read(self) -> Callable[[str], Any]:
        return self.hit or self.ask

    @property
    def names(self) -> Iterator[str]:
        """The names of its rows: its own, and that of reading many keys."""
        yield self.name
        if self.many:
            yield self.many.name


Make = Callable[[str, Compute], Iterable[Contender]]
"""Makes a library's contenders, for a server's address and a function that computes."""


class Field(NamedTuple):
    """The contenders, and the libraries that are absent, with the reason."""

    contenders: list[Contender]
    absent: dict[str, str]


def gather(makers: Mapping[str, Make], url: str, compute: Compute) -> Field:
    """Make every library's contenders; a library that cannot be imported is listed as absent."""
    field = Field([], {})
    for library, make in makers.items():
        try:
            field.contenders.extend(make(url, compute))
        except ImportError as error:
            field.absent[library] = f"not installed ({error}); run: pip install 'warmer[bench]'"
    return field


def roomy(url: str) -> str:
    """Return an address whose redis-py pools have room for a crowd; 100 connections are their default."""
    return f"{url}?max_connections=1000"
