"""Reading and writing by key, as a `Warmer` offers it: for threads, and as coroutines with an ``a`` before the name."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from secrets import token_hex
from typing import Any, Generic, TypeVar

from redis.exceptions import RedisError

from warmer.cache.request import CacheRequest
from warmer.client.embedded import Embedded
from warmer.codec.entry import Origin
from warmer.errors import StoreUnavailableError, described
from warmer.fork import ForkSafe
from warmer.refresh.cache_options import CacheOptions
from warmer.refresh.publisher import RefreshRequest
from warmer.runtime import Runtime
from warmer.settings import Settings
from warmer.spawn import Spawn, start_thread
from warmer.tasks.registry import Registry
from warmer.tasks.validation import check_function, check_key, check_keys, check_ttl

Answer = TypeVar("Answer")


class _Lazy(Generic[Answer]):
    """An attribute that is made at first use, once, however many threads come; later reads do not call anything."""

    def __init__(self, make: Callable[[Any], Answer]) -> None:
        self._make = make
        self._name = make.__name__

    def __get__(self, instance: Any, owner: object = None) -> Answer:
        attributes = vars(instance)
        with instance._making:
            if self._name not in attributes:
                attributes[self._name] = self._make(instance)
        made: Answer = attributes[self._name]
        return made


class KeyAccess(ForkSafe):
    """What a `Warmer` offers to those who know a key. Reads never raise because of Redis; writes do.

    Args:
        settings: What is configured; from ``WARMER_*`` variables when not given.
    """

    _spawn: Spawn = staticmethod(start_thread)
    """Starts all threads of this object; `warmer.testing` starts none."""

    def __init__(self, settings: Settings | None = None) -> None:
        """Prepare; nothing is sent and no thread runs yet."""
        self._settings = settings or Settings.load()
        self._is_embedded = self._settings.embedded
        self._registry = Registry()
        self._embedded = Embedded(self._spawn)
        super().__init__()

    def _reset_after_fork(self) -> None:
        self._making = threading.RLock()

    @property
    def settings(self) -> Settings:
        """What was configured."""
        return self._settings

    @_Lazy
    def _runtime(self) -> Runtime:
        """The parts behind all this, made at first use of Redis; with a private server where none is configured."""
        if self._settings.redis_url is None and self._is_embedded:
            return self._compose(self._settings.model_copy(update={"redis_url": self._embedded.start_server()}))
        return self._compose(self._settings)

    def _compose(self, settings: Settings) -> Runtime:
        runtime = Runtime(settings, self._registry, spawn=self._spawn)
        runtime.registration.accepts_local = self._is_embedded
        return runtime

    def close(self) -> None:
        """Send what is unsent, stop the threads of this object and close its connections."""
        self._embedded.stop()
        if "_runtime" in vars(self):
            self._runtime.close()
        self._embedded.stop_server()

    def get(self, cache_key: str, default: Any = None) -> Any:
        """Return the cached value, or the default on a miss; a cached None is a value.

        Args:
            cache_key: Where it is cached.
            default: What is returned on a miss, and where an exception is cached in the place of a value.

        Raises:
            InvalidTaskError: the key cannot be used.
            SettingsError: no Redis is configured.
        """
        return self._runtime.cache.get(check_key(cache_key), default)

    async def aget(self, cache_key: str, default: Any = None) -> Any:
        """As `get`, beside an event loop."""
        return await self._runtime.cache.aget(check_key(cache_key), default)

    def get_many(self, cache_keys: Iterable[str]) -> dict[str, Any]:
        """Return the values that are cached, by key; all are asked for in one round trip to each node.

        Args:
            cache_keys: The keys; those that miss are absent from the answer.

        Raises:
            InvalidTaskError: a key cannot be used.
            SettingsError: no Redis is configured.
        """
        return self._runtime.cache.get_many(check_keys(cache_keys))

    async def aget_many(self, cache_keys: Iterable[str]) -> dict[str, Any]:
        """As `get_many`, beside an event loop."""
        return await self._runtime.cache.aget_many(check_keys(cache_keys))

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
        return self._runtime.cache.want(self._wanted(cache_key, compute_fn, ttl))

    async def aget_or_compute(self, cache_key: str, compute_fn: Callable[[], Any], ttl: float = 3600) -> Any:
        """As `get_or_compute`, beside an event loop; a sync function is run in a thread of its own."""
        return await self._runtime.cache.awant(self._wanted(cache_key, compute_fn, ttl))

    def _wanted(self, cache_key: str, compute_fn: Callable[[], Any], ttl: float) -> CacheRequest:
        return self._runtime.cache.wanted_by_key(check_key(cache_key), check_function(compute_fn), check_ttl(ttl))

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
        owner = self._registry.maker(check_key(cache_key))
        check_ttl(ttl)
        terms = (
            CacheOptions.of_key(None, ttl, self._settings)
            if owner is None
            else self._runtime.cache_options.of(owner).set_for(ttl)
        )
        ref = "" if owner is None or owner.fields else owner.task_id
        work = RefreshRequest(ref, cache_key, terms, Origin.MISS, lambda: value, {}, token_hex(16))
        refreshed = self._reach(lambda: self._runtime.refresher.publish_value(work, value))
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
        self._reach(lambda: self._runtime.store.entries.invalidate(check_key(cache_key)))

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
