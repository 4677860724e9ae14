"""Reads and writes by key: for threads, and as coroutines with an ``a`` before the name."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from warmer.client.runtime_access import RuntimeAccess, redis_required
from warmer.errors import StoreUnavailableError
from warmer.refresh.cache_options import CacheOptions
from warmer.refresh.request import CacheRequest
from warmer.tasks.validation import check_function, check_key, check_keys, check_ttl


class KeyAccess(RuntimeAccess):
    """Methods of a `Warmer` that take a key. Reads never raise because of Redis; writes do."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return the cached value, or the default on a miss; a cached None is a value.

        Args:
            key: The cache key.
            default: Returned on a miss, and if an exception is cached in place of a value.

        Raises:
            InvalidTaskError: the key cannot be used.
            SettingsError: no Redis is configured.
        """
        return self._runtime.cache.get(check_key(key), default)

    async def aget(self, key: str, default: Any = None) -> Any:
        """As `get`, for coroutines."""
        return await self._runtime.cache.aget(check_key(key), default)

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the cached values by key, read in one round trip to each node.

        Args:
            keys: The keys; a key that misses is absent from the answer.

        Raises:
            InvalidTaskError: a key cannot be used.
            SettingsError: no Redis is configured.
        """
        return self._runtime.cache.get_many(check_keys(keys))

    async def aget_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """As `get_many`, for coroutines."""
        return await self._runtime.cache.aget_many(check_keys(keys))

    def get_or_compute(self, key: str, compute_fn: Callable[[], Any], ttl: float = 3600) -> Any:
        """Return the cached value, or compute and cache it; callers at the same time share one computation.

        Args:
            key: The cache key.
            compute_fn: Computes the value; sync or async.
            ttl: Seconds for which it is fresh.

        Raises:
            InvalidTaskError: the key, the function or the ttl cannot be used.
            CodecError: the computed value cannot be cached as it is.
            Exception: what the function raises; a caller that waited for another process gets a
                `ComputationFailedError` that describes it.
        """
        return self._runtime.cache.get_or_compute(self._request(key, compute_fn, ttl))

    async def aget_or_compute(self, key: str, compute_fn: Callable[[], Any], ttl: float = 3600) -> Any:
        """As `get_or_compute`, for coroutines; a sync function runs in a thread of its own."""
        return await self._runtime.cache.aget_or_compute(self._request(key, compute_fn, ttl))

    def _request(self, key: str, compute_fn: Callable[[], Any], ttl: float) -> CacheRequest:
        return self._runtime.cache.request_for_key(check_key(key), check_function(compute_fn), check_ttl(ttl))

    def set(self, key: str, value: Any, ttl: float = 3600) -> None:
        """Cache a given value; a computation that began earlier is not published.

        Args:
            key: The cache key.
            value: The value; for the key of a task that this process knows, any value that its function may return.
            ttl: Seconds for which it is fresh.

        Raises:
            InvalidTaskError: the key or the ttl cannot be used.
            CodecError: the value cannot be cached as it is; what was cached before stays.
            StoreUnavailableError: Redis did not answer, or refused.
        """
        owner = self._registry.maker(check_key(key))
        check_ttl(ttl)
        options = (
            CacheOptions.of_key(None, ttl, self._settings)
            if owner is None
            else self._runtime.cache_options.of(owner).set_for(ttl)
        )
        ref = "" if owner is None or owner.fields else owner.task_id
        request = CacheRequest(key, ref, lambda: options, lambda: value, {})
        with redis_required():
            refreshed = self._runtime.refresher.publish_value(request, value)
        if refreshed.error:
            raise StoreUnavailableError(f"{key!r} was not set: {refreshed.error}")

    async def aset(self, key: str, value: Any, ttl: float = 3600) -> None:
        """As `set`, for coroutines."""
        await asyncio.to_thread(self.set, key, value, ttl)

    def invalidate(self, key: str) -> None:
        """Delete a value; a computation that began earlier is not published.

        Args:
            key: The cache key.

        Raises:
            InvalidTaskError: the key cannot be used.
            StoreUnavailableError: Redis did not answer.
        """
        check_key(key)
        with redis_required():
            self._runtime.store.entries.invalidate(key)

    async def ainvalidate(self, key: str) -> None:
        """As `invalidate`, for coroutines."""
        await asyncio.to_thread(self.invalidate, key)
