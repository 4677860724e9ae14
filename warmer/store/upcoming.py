"""Lists the targets that are to be computed or reviewed until a moment, page by page. Changes nothing."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Literal, NamedTuple, TypeAlias

from warmer.store.chunks import CHUNK
from warmer.store.keys import Keys

Spot: TypeAlias = Literal["claimed", "asked", "ready", "due", "review"]


class Upcoming(NamedTuple):
    """A target that has a place.

    Args:
        spot: "claimed" if a worker computes it; "asked" if it was requested on demand and waits for one; "ready" if
            it is scheduled and waits for one; "due" if it is computed later; "review" if that is decided later.
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
    """All targets that have a place until a moment; those nearest to being computed come first.

    Args:
        control: Client of the control server.
        keys: The namespace's.
        until_ms: The last moment at which a target is due or reviewed that counts.

    Raises:
        redis.RedisError: Redis did not answer.
    """

    def __init__(self, control: Any, keys: Keys, until_ms: int) -> None:
        """Count them."""
        self._control = control
        self._sources = _sources(control, keys, until_ms)

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(source.size for source in self._sources)

    def pages(self, count: int) -> Iterator[list[Upcoming]]:
        """Yield the first of them, a page at a time; what moves meanwhile may be missed, or come twice.

        Args:
            count: How many at most.
        """
        found = iter(self)
        left = count
        while page := list(islice(found, min(CHUNK, left))):
            left -= len(page)
            yield page

    def __iter__(self) -> Iterator[Upcoming]:
        """Yield them one by one."""
        for spot, key, size in self._sources:
            for first in range(0, size, CHUNK):
                last = min(first + CHUNK, size) - 1
                for ref, at_ms in self._control.zrange(key, first, last, withscores=True):
                    yield Upcoming(spot, ref.decode(), int(at_ms))


def _sources(control: Any, keys: Keys, until_ms: int) -> list[_Source]:
    queues = _queues(control, keys)
    pipeline = control.pipeline(transaction=False)
    pipeline.zcard(keys.claims)
    for _, key in queues:
        pipeline.zcard(key)
    pipeline.zcount(keys.due, "-inf", until_ms)
    pipeline.zcount(keys.reviews, "-inf", until_ms)
    places = [("claimed", keys.claims), *queues, ("due", keys.due), ("review", keys.reviews)]
    return [_Source(spot, key, size) for (spot, key), size in zip(places, pipeline.execute(), strict=True)]


def _queues(control: Any, keys: Keys) -> list[tuple[Spot, str]]:
    """Return the ready queues that have any target; those for targets requested on demand come first."""
    queues: list[tuple[Spot, str]] = []
    for name in sorted(name.decode() for name in control.smembers(keys.fair_queues)):  # "a" sorts before "s"
        for task_id in control.zrange(keys.fair_queue + name, 0, -1):
            if name.startswith("a"):
                queues.append(("asked", keys.on_demand_queue + task_id.decode()))
            else:
                queues.append(("ready", keys.scheduled_queue + task_id.decode()))
    return queues
