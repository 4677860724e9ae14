"""Ours: by key and decorated, on the calling thread and on an event loop.

Decorated functions live in a module, so that workers could import them; what they compute is told at run time. They
read through the default `Warmer`, which has to be configured before: the makers' address is for rivals only.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import warmer
from contenders.contender import TTL_S, Compute, Contender, Many
from warmer import warmed

_compute: Compute


@warmed("decorated:{key}", ttl=TTL_S)
def decorated(key: str) -> Any:
    return _compute(key)


@warmed("stale:{key}", ttl=TTL_S, stale_ttl=60)
def kept_stale(key: str) -> Any:
    return _compute(key)


@warmed("async-decorated:{key}", ttl=TTL_S)
async def async_decorated(key: str) -> Any:
    return await _compute(key)


def ours(url: str, compute: Compute) -> Iterator[Contender]:
    """Each way to read on the calling thread; all but one are counted, as they are by default."""
    _compute_with(compute)

    def ask(key: str) -> Any:
        return warmer.get_or_compute(key, partial(compute, key), TTL_S)

    many = Many("warmer.get_many", warmer.get_many)
    yield Contender("warmer.get", "ours", ask, hit=warmer.get, many=many, has_misses=False)
    yield Contender(
        "warmer.get, uncounted", "ours", ask, hit=warmer.get, around=warmer.uncounted_reads, has_misses=False
    )
    yield Contender(
        "warmer.get, stale_ttl", "ours", kept_stale, hit=lambda key: warmer.get(f"stale:{key}"), has_misses=False
    )
    yield Contender("warmer.get_or_compute", "ours", ask)
    yield Contender("@warmed", "ours", decorated)


def async_ours(url: str, compute: Compute) -> Iterator[Contender]:
    """The same on an event loop."""
    _compute_with(compute)

    def ask(key: str) -> Any:
        return warmer.aget_or_compute(key, partial(compute, key), TTL_S)

    many = Many("warmer.aget_many", warmer.aget_many)
    yield Contender("warmer.aget", "ours", ask, hit=warmer.aget, many=many, has_misses=False)
    yield Contender("warmer.aget_or_compute", "ours", ask)
    yield Contender("@warmed async", "ours", async_decorated)


def _compute_with(compute: Compute) -> None:
    global _compute
    _compute = compute
