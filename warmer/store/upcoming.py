"""Lists what is to be computed or decided until a moment, page by page; it changes nothing."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Literal, NamedTuple, TypeAlias

from warmer.store.keys import Keys

PAGE = 500
"""Targets in one answer: more would keep Redis from answering others."""

Spot: TypeAlias = Literal["claimed", "asked", "ready", "due", "review"]


class Upcoming(NamedTuple):
    """A target that stands somewhere.

    Args:
        spot: "claimed" if a worker computes it, "asked" if it was asked for by hand, "ready" if it waits for a worker,
            "due" if it is computed later, "review" if it is to be decided whether it is.
        ref: Canonical text of the target.
        at_ms: When it is due or reviewed, since when it is ready, or when its claim lapses.
    """

    spot: Spot
    ref: str
    at_ms: int


class _Source(NamedTuple):
    spot: Spot
    key: str
    size: int


class UpcomingTargets:
    """What stands anywhere in the flow of refreshes until a moment: what is nearest to being computed comes first.

    Args:
        control: Client of the control server.
        keys: The namespace's.
        until_ms: The last moment at which a target is due or reviewed that counts.

    Raises:
        redis.RedisError: Redis did not answer.
    """

    def __init__(self, control: Any, keys: Keys, until_ms: int) -> None:
        """Look how many there are."""
        self._control = control
        self._sources = _sources(control, keys, until_ms)

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(source.size for source in self._sources)

    def pages(self, most: int) -> Iterator[list[Upcoming]]:
        """Yield the first of them, a page at a time; what moves meanwhile may be missed, or come twice.

        Args:
            most: How many.
        """
        found = iter(self)
        left = most
        while page := list(islice(found, min(PAGE, left))):
            left -= len(page)
            yield page

    def __iter__(self) -> Iterator[Upcoming]:
        """Yield them one by one."""
        for spot, key, size in self._sources:
            for first in range(0, size, PAGE):
                last = min(first + PAGE, size) - 1
                for ref, at_ms in self._control.zrange(key, first, last, withscores=True):
                    yield Upcoming(spot, ref.decode(), int(at_ms))


def _sources(control: Any, keys: Keys, until_ms: int) -> list[_Source]:
    lanes = _lanes(control, keys)
    pipeline = control.pipeline(transaction=False)
    pipeline.zcard(keys.claims)
    for _, key in lanes:
        pipeline.zcard(key)
    pipeline.zcount(keys.due, "-inf", until_ms)
    pipeline.zcount(keys.reviews, "-inf", until_ms)
    places = [("claimed", keys.claims), *lanes, ("due", keys.due), ("review", keys.reviews)]
    return [_Source(spot, key, size) for (spot, key), size in zip(places, pipeline.execute(), strict=True)]


def _lanes(control: Any, keys: Keys) -> list[tuple[Spot, str]]:
    """Return the lanes in which anything stands; what was asked for by hand comes first."""
    rotas = sorted(name.decode() for name in control.smembers(keys.rotas))
    lanes: list[tuple[Spot, str]] = []
    for rota in rotas:  # "a" sorts before "s"
        for task_id in control.zrange(keys.rota + rota, 0, -1):
            is_asked = rota.startswith("a")
            lanes.append(
                ("asked", keys.asked + task_id.decode()) if is_asked else ("ready", keys.ready + task_id.decode())
            )
    return lanes
