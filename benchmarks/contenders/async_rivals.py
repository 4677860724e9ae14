"""Rivals on an event loop, with their default serializers unless the name says otherwise."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from contenders.contender import TTL_S, Compute, Contender, Many


def cashews(url: str, compute: Compute) -> Iterator[Contender]:
    """cashews: plain, with its lock, and refreshing early."""
    from cashews import Cache

    cache = Cache()
    cache.setup(url)

    @cache(ttl=TTL_S, key="cashews:{key}")
    async def plain(key: str) -> Any:
        return await compute(key)

    @cache(ttl=TTL_S, key="cashews-locked:{key}", lock=True)
    async def locked(key: str) -> Any:
        return await compute(key)

    @cache.early(ttl=TTL_S, key="cashews-early:{key}")
    async def early(key: str) -> Any:
        return await compute(key)

    async def many(keys: Any) -> Any:
        return await cache.get_many(*(f"cashews:{key}" for key in keys))

    yield Contender("cashews", "rival", plain, many=Many("cashews get_many", many))
    yield Contender("cashews, lock", "rival", locked)
    yield Contender("cashews, early", "rival", early)


def aiocache(url: str, compute: Compute) -> Iterator[Contender]:
    """aiocache with its JSON serializer: plain, and with its lock against stampedes."""
    from aiocache import Cache, cached, cached_stampede
    from aiocache.serializers import JsonSerializer

    server = urlsplit(url)
    options = {
        "cache": Cache.REDIS,
        "endpoint": server.hostname,
        "port": server.port,
        "pool_max_size": 1000,
        "serializer": JsonSerializer(),
        "key_builder": lambda function, key: key,
        "ttl": TTL_S,
    }

    @cached(namespace="aiocache", **options)
    async def plain(key: str) -> Any:
        return await compute(key)

    @cached_stampede(namespace="aiocache-locked", **options)
    async def locked(key: str) -> Any:
        return await compute(key)

    yield Contender(
        "aiocache", "rival", plain, hit=plain.cache.get, many=Many("aiocache multi_get", plain.cache.multi_get)
    )
    yield Contender("aiocache, cached_stampede", "rival", locked)
