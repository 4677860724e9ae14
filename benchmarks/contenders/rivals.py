"""Rivals, with their default serializers unless the name says otherwise."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from contenders.contender import TTL_S, Compute, Contender, Many, roomy


# --- on the calling thread -------------------------------------------------------------------------------------
def dogpile(url: str, compute: Compute) -> Iterator[Contender]:
    """dogpile.cache: one computation per process, or with its distributed lock, one for all."""
    from dogpile.cache import make_region

    locked = {"distributed_lock": True, "thread_local_lock": False}
    for name, options in {"dogpile": {}, "dogpile, distributed_lock": locked}.items():
        region = make_region(key_mangler=lambda key, name=name: f"{name}:{key}").configure(
            "dogpile.cache.redis",
            expiration_time=TTL_S,
            arguments={"url": roomy(url), "redis_expiration_time": 2 * TTL_S, **options},
        )
        yield Contender(
            name,
            "rival",
            lambda key, region=region: region.get_or_create(key, lambda: compute(key)),
            many=None if options else Many("dogpile get_multi", region.get_multi),
        )


def django(url: str, compute: Compute) -> Iterator[Contender]:
    """Django's own Redis cache, and django-redis with its default serializer and with JSON."""
    import django_redis  # noqa: F401 (its absence is to be told, not met later)
    from django.conf import settings
    from django.core.cache import CacheHandler

    if not settings.configured:
        settings.configure()
    own, theirs = "django.core.cache.backends.redis.RedisCache", "django_redis.cache.RedisCache"
    json = {"SERIALIZER": "django_redis.serializers.json.JSONSerializer"}
    caches = CacheHandler(
        {
            "default": _cache(own, url, KEY_PREFIX="own"),
            "django-redis": _cache(theirs, url, KEY_PREFIX="theirs"),
            "django-redis, JSON": _cache(theirs, url, KEY_PREFIX="json", OPTIONS=json),
        }
    )
    for alias in caches.settings:
        name = "Django RedisCache" if alias == "default" else alias
        yield Contender(
            name,
            "rival",
            lambda key, alias=alias: caches[alias].get_or_set(key, lambda: compute(key), TTL_S),
            hit=lambda key, alias=alias: caches[alias].get(key),
            many=Many(f"{name} get_many", lambda keys, alias=alias: caches[alias].get_many(keys)),
        )


def _cache(backend: str, url: str, **more: object) -> dict[str, object]:
    return {"BACKEND": backend, "LOCATION": roomy(url), **more}


# --- on an event loop ------------------------------------------------------------------------------------------
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
