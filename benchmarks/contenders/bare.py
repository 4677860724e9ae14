"""The baseline, redis-py and orjson and nothing else; and the floor, no Redis at all."""

import functools
from collections.abc import Iterator
from typing import Any

import orjson
import redis
import redis.asyncio

from contenders.contender import TTL_S, Compute, Contender, Many, roomy


def baseline(url: str, compute: Compute) -> Iterator[Contender]:
    """GET and orjson.loads; on a miss compute and SET, with nothing against stampedes."""
    client = redis.Redis.from_url(roomy(url))

    def check_then_set(key: str) -> Any:
        payload = client.get(key)
        if payload is not None:
            return orjson.loads(payload)
        value = compute(key)
        client.set(key, orjson.dumps(value), ex=TTL_S)
        return value

    yield Contender(
        "redis-py + orjson",
        "base",
        check_then_set,
        hit=lambda key: orjson.loads(client.get(key)),
        many=Many("MGET + orjson", lambda keys: [orjson.loads(payload) for payload in client.mget(keys)]),
    )


def async_baseline(url: str, compute: Compute) -> Iterator[Contender]:
    """The same on redis.asyncio."""
    client = redis.asyncio.Redis.from_url(roomy(url))

    async def check_then_set(key: str) -> Any:
        payload = await client.get(key)
        if payload is not None:
            return orjson.loads(payload)
        value = await compute(key)
        await client.set(key, orjson.dumps(value), ex=TTL_S)
        return value

    async def hit(key: str) -> Any:
        return orjson.loads(await client.get(key))

    async def many(keys: Any) -> list[Any]:
        return [orjson.loads(payload) for payload in await client.mget(keys)]

    yield Contender("redis.asyncio + orjson", "base", check_then_set, hit=hit, many=Many("MGET + orjson", many))


def floor(url: str, compute: Compute) -> Iterator[Contender]:
    """A dictionary in this process: what no shared cache can beat."""
    yield Contender("functools.lru_cache", "floor", functools.lru_cache(maxsize=None)(compute), has_misses=False)
