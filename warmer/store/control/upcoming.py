"""Lists the targets that are to be computed or reviewed until a moment, page by page. Changes nothing."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple, TypeAlias

from warmer.store.chunks import CHUNK
from warmer.store.keys import Keys

UpcomingState: TypeAlias = Literal["claimed", "on_demand", "scheduled", "due", "review"]


class Upcoming(NamedTuple):
    """A target that is to be computed or reviewed.

    Args:
        state: "claimed" if a worker computes it; "on_demand" or "scheduled" if it waits for a worker, because it was
            requested, or by schedule; "due" if it is computed later; "review" if it is decided later whether it is.
        ref: Canonical text of the target.
        at_ms: When it is due or reviewed, since when it is ready, or when its claim lapses.
        failures: Failures in a row.
        fresh_ok: Whether a fresh value is good enough, also one that another process computed.
    """

    state: UpcomingState
    ref: str
    at_ms: int
    failures: int
    fresh_ok: bool


class _Source(NamedTuple):
    state: UpcomingState
    key: str
    size: int


class UpcomingTargets:
    """All targets that are to be computed or reviewed until a moment; those nearest to being computed come first.

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
        self._keys = keys
        self._sources = _sources(control, keys, until_ms)

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(source.size for source in self._sources)

    def pages(self, count: int) -> Iterator[list[Upcoming]]:
        """Yield the first of them, a page at a time; what moves meanwhile may be missed, or come twice.

        Args:
            count: How many at most.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        found = self._placed()
        left = count
        while page := list(islice(found, min(CHUNK, left))):
            left -= len(page)
            yield self._with_requests(page)

    def _placed(self) -> Iterator[tuple[UpcomingState, str, int]]:
        for state, key, size in self._sources:
            for first in range(0, size, CHUNK):
                last = min(first + CHUNK, size) - 1
                for ref, at_ms in self._control.zrange(key, first, last, withscores=True):
                    yield state, ref.decode(), int(at_ms)

    def _with_requests(self, page: Sequence[tuple[UpcomingState, str, int]]) -> list[Upcoming]:
        refs = [ref for _, ref, _ in page]
        pipeline = self._control.pipeline(transaction=False)
        pipeline.hmget(self._keys.failures, refs)
        pipeline.smismember(self._keys.fresh_ok, refs)
        pipeline.smismember(self._keys.must_recompute, refs)
        failures, fresh_ok, must_recompute = pipeline.execute()
        return [
            Upcoming(*placed, int(failed or 0), not recompute if placed[0] == "on_demand" else bool(fresh))
            for placed, failed, fresh, recompute in zip(page, failures, fresh_ok, must_recompute, strict=True)
        ]


def _sources(control: Any, keys: Keys, until_ms: int) -> list[_Source]:
    queues = _queues(control, keys)
    pipeline = control.pipeline(transaction=False)
    pipeline.zcard(keys.claims)
    for _, key in queues:
        pipeline.zcard(key)
    pipeline.zcount(keys.due, "-inf", until_ms)
    pipeline.zcount(keys.reviews, "-inf", until_ms)
    places = [("claimed", keys.claims), *queues, ("due", keys.due), ("review", keys.reviews)]
    return [_Source(state, key, size) for (state, key), size in zip(places, pipeline.execute(), strict=True)]


def _queues(control: Any, keys: Keys) -> list[tuple[UpcomingState, str]]:
    """Return the ready queues that have any target; those for targets requested on demand come first."""
    queues: list[tuple[UpcomingState, str]] = []
    for name in sorted(name.decode() for name in control.smembers(keys.fair_queues)):  # "a" sorts before "s"
        for task_id in control.zrange(keys.fair_queue + name, 0, -1):
            if name.startswith("a"):
                queues.append(("on_demand", keys.on_demand_queue + task_id.decode()))
            else:
                queues.append(("scheduled", keys.scheduled_queue + task_id.decode()))
    return queues
