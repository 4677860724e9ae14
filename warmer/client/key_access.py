"""Reading and writing by key, as a `Warmer` offers it: for threads, and as coroutines with an ``a`` before the name."""

import asyncio
from collections.abc import Callable, Iterable
from secrets import token_hex
from typing import Any, TypeVar

from redis.exceptions import RedisError

from warmer.cache.request import CacheRequest
from warmer.codec.entry import Origin
from warmer.errors import StoreUnavailableError, described
from warmer.refresh.cache_options import CacheOptions
from warmer.refresh.publisher import RefreshRequest
from warmer.runtime import Runtime
from warmer.tasks.validation import check_function, check_key, check_keys, check_ttl

Answer = TypeVar("Answer")


class KeyAccess(Runtime):
    """What a `Warmer` offers to those who know a key. Reads never raise because of Redis; writes do."""

    def get(self, cache_key: str, default: Any = None) -> Any:
        """Return the cached value, or the default on a miss; a cached None is a value.

        Args:
            cache_key: Where it is cached.
            default: What is returned on a miss, and where an exception is cached in the place of a value.

        Raises:
            InvalidTaskError: the key cannot be used.
            SettingsError: no Redis is configured.
        """
        return self.cache.get(check_key(cache_key), default)

    async def aget(self, cache_key: str, default: Any = None) -> Any:
        """As `get`, beside an event loop."""
        return await self.cache.aget(check_key(cache_key), default)

    def get_many(self, cache_keys: Iterable[str]) -> dict[str, Any]:
        """Return the values that are cached, by key; all are asked for in one round trip to each node.

        Args:
            cache_keys: The keys; those that miss are absent from the answer.

        Raises:
            InvalidTaskError: a key cannot be used.
            SettingsError: no Redis is configured.
        """
        return self.cache.get_many(check_keys(cache_keys))

    async def aget_many(self, cache_keys: Iterable[str]) -> dict[str, Any]:
        """As `get_many`, beside an event loop."""
        return await self.cache.aget_many(check_keys(cache_keys))

    def get_or_compute(self, cache_key: str, compute_fn: Callable[[], Any], ttl: float = 3600) -> Any:
        """Return the cached value, or compute and cache it: once, however many ask at the same time.

        Args:
            cache_key: Where it is cached.
            compute_fn: Computes it; sync or async.
            ttl: Seconds for which it is fresh.

        Raises:
            InvalidTaskError: the key, the function or the ttl cannot be used.
            CodecError: the computed value cannot be cached as it is.
            Exception: what the function raises; a caller that waited for another process's computation gets it as
                `ComputationFailedError`.
        """
        return self.cache.want(self._wanted(cache_key, compute_fn, ttl))

    async def aget_or_compute(self, cache_key: str, compute_fn: Callable[[], Any], ttl: float = 3600) -> Any:
        """As `get_or_compute`, beside an event loop; a sync function is run in a thread of its own."""
        return await self.cache.awant(self._wanted(cache_key, compute_fn, ttl))

    def _wanted(self, cache_key: str, compute_fn: Callable[[], Any], ttl: float) -> CacheRequest:
        return self.cache.wanted_by_key(check_key(cache_key), check_function(compute_fn), check_ttl(ttl))

    def set(self, cache_key: str, value: Any, ttl: float = 3600) -> None:
        """Cache a value that the caller has; a computation that has begun before this is not published.

        Args:
            cache_key: Where to cache it.
            value: The value; under the key of a task that this process knows, whatever its function may return.
            ttl: Seconds for which it is fresh.

        Raises:
            InvalidTaskError: the key or the ttl cannot be used.
            CodecError: the value cannot be cached as it is; what was cached before stays.
            StoreUnavailableError: Redis did not answer.
        """
        owner = self.registry.maker(check_key(cache_key))
        check_ttl(ttl)
        terms = CacheOptions.of_key(None, ttl, self.settings) if owner is None else self.terms.of(owner).set_for(ttl)
        ref = "" if owner is None or owner.fields else owner.task_id
        work = RefreshRequest(ref, cache_key, terms, Origin.MISS, lambda: value, {}, token_hex(16))
        refreshed = self._reach(lambda: self.refresher.publish_value(work, value))
        if refreshed.error:
            raise StoreUnavailableError(f"{cache_key!r} was not set: {refreshed.error}")

    async def aset(self, cache_key: str, value: Any, ttl: float = 3600) -> None:
        """As `set`, beside an event loop."""
        await asyncio.to_thread(self.set, cache_key, value, ttl)

    def invalidate(self, cache_key: str) -> None:
        """Delete a value; a computation that has begun before this is not published.

        Args:
            cache_key: Where it is cached.

        Raises:
            InvalidTaskError: the key cannot be used.
            StoreUnavailableError: Redis did not answer.
        """
        self._reach(lambda: self.store.entries.invalidate(check_key(cache_key)))

    async def ainvalidate(self, cache_key: str) -> None:
        """As `invalidate`, beside an event loop."""
        await asyncio.to_thread(self.invalidate, cache_key)

    def _reach(self, action: Callable[[], Answer]) -> Answer:
        try:
            return action()
        except RedisError as error:
            raise unavailable(error) from error


def unavailable(error: RedisError) -> StoreUnavailableError:
    """Return what is raised for an error of Redis."""
    return StoreUnavailableError(
        f"Redis did not do what was asked ({described(error)}); check that the server at WARMER_REDIS_URL "
        "is up and accepts writes, then try again"
    )
