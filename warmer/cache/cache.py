"""Cache: reads values and counts the reads; hands misses on to be computed, and stale values to be refreshed."""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, Protocol

import orjson
from redis.exceptions import RedisError

from warmer.cache.miss_handler import MissHandler
from warmer.clock import Clock
from warmer.codec import ERROR, JSON, Codec, cached_error
from warmer.codec.entry import Header, unpack
from warmer.errors import CodecError, InvalidTaskError
from warmer.refresh.cache_options import CacheOptions, TaskCacheOptions
from warmer.refresh.read_counter import ReadCounter
from warmer.refresh.request import CacheRequest
from warmer.settings import Settings
from warmer.tasks.loading import late_function_of
from warmer.tasks.registry import Registry
from warmer.tasks.target import Target
from warmer.tasks.task import WarmingTask
from warmer.wire import UNAVAILABLE, Reader

logger = logging.getLogger("warmer.cache")

MISSING: Final[Any] = object()
"""Stands for a value that is not cached."""

MAX_LOGGED = 1000
"""Bound on tasks whose decode error has been logged."""


class CachedError(NamedTuple):
    """An exception that is cached in the place of a value."""

    error: Exception


class SendsCounts(Protocol):
    """The background thread of this process, which sends what the cache counts."""

    is_started: bool

    def start(self) -> None:
        """Start the thread, if it does not run yet."""


class Cache:
    """Reads values; those that are missing are computed, those that are stale are refreshed in the background.

    Args:
        entry_key: Returns the name of a cache key's entry in Redis.
        reader: Reads entries.
        miss_handler: Computes missing values.
        registry: Finds the task of a key.
        cache_options: How each task's values are cached.
        counter: Counts the reads.
        settings: Defaults for keys without a task.
        clock: Tells the time.
        background: Sends the counts; it is started by the first read.
    """

    def __init__(
        self,
        entry_key: Callable[[str], str],
        reader: Reader,
        miss_handler: MissHandler,
        registry: Registry,
        cache_options: TaskCacheOptions,
        counter: ReadCounter,
        settings: Settings,
        clock: Clock,
        background: SendsCounts,
    ) -> None:
        """Prepare; nothing is read yet."""
        self._entry_key = entry_key
        self._reader = reader
        self._miss_handler = miss_handler
        self._registry = registry
        self._cache_options = cache_options
        self._counter = counter
        self._clock = clock
        self._background = background
        self._codec = Codec(signing_key=settings.signing_key())
        self._logged: set[bytes] = set()

    # --- by key ------------------------------------------------------------------------------------------------
    def get(self, cache_key: str, default: Any = None) -> Any:
        """Return the cached value, or the default on a miss; a cached None is a value."""
        return _or_default(self._value(cache_key, self._read(cache_key), None), default)

    async def aget(self, cache_key: str, default: Any = None) -> Any:
        """As `get`, beside an event loop."""
        return _or_default(self._value(cache_key, await self._aread(cache_key), None), default)

    def get_many(self, cache_keys: Sequence[str]) -> dict[str, Any]:
        """Return the values that are cached, by key; all are asked for at once."""
        return self._found(cache_keys, self._read_many(cache_keys))

    async def aget_many(self, cache_keys: Sequence[str]) -> dict[str, Any]:
        """As `get_many`, beside an event loop."""
        return self._found(cache_keys, await self._aread_many(cache_keys))

    # --- by request --------------------------------------------------------------------------------------------
    def get_or_compute(self, request: CacheRequest) -> Any:
        """Return a value, computed and cached if it is missing.

        Raises:
            Exception: what the function raises.
        """
        value = self._value(request.cache_key, self._read(request.cache_key), request)
        if isinstance(value, CachedError):
            raise value.error
        return self._miss_handler.compute(request) if value is MISSING else value

    async def aget_or_compute(self, request: CacheRequest) -> Any:
        """As `get_or_compute`, beside an event loop."""
        value = self._value(request.cache_key, await self._aread(request.cache_key), request)
        if isinstance(value, CachedError):
            raise value.error
        return await self._miss_handler.acompute(request) if value is MISSING else value

    def peek(self, request: CacheRequest, default: Any) -> Any:
        """Return a value if it is cached, else the default."""
        return _or_default(self._value(request.cache_key, self._read(request.cache_key), request), default)

    async def apeek(self, request: CacheRequest, default: Any) -> Any:
        """As `peek`, beside an event loop."""
        return _or_default(self._value(request.cache_key, await self._aread(request.cache_key), request), default)

    def look_up(self, requests: Sequence[CacheRequest]) -> list[Any]:
        """Return for each what is cached, or `MISSING`; all are asked for at once.

        Raises:
            Exception: one that is cached in the place of a value.
        """
        return self._values(requests, self._read_many([request.cache_key for request in requests]))

    async def alook_up(self, requests: Sequence[CacheRequest]) -> list[Any]:
        """As `look_up`, beside an event loop."""
        return self._values(requests, await self._aread_many([request.cache_key for request in requests]))

    # --- requests ----------------------------------------------------------------------------------------------
    def requests_of(self, task: WarmingTask) -> Callable[[Target], CacheRequest]:
        """Return a function that returns the request for a target of this task."""
        options, function = self._cache_options.of(task), late_function_of(task)
        takes_plain = options.codec.takes_plain

        def find_options() -> CacheOptions:
            return options

        def request_for(target: Target) -> CacheRequest:
            return CacheRequest(
                target.cache_key, target.ref, find_options, function, target.arguments, target, takes_plain
            )

        return request_for

    def request_for_key(self, cache_key: str, function: Callable[[], Any], ttl_s: float) -> CacheRequest:
        """Return the request for a key, which may be that of a task."""
        owner = self._registry.owner(cache_key)
        target = None if owner is None else owner.target()
        ref = "" if target is None else target.ref
        return CacheRequest(
            cache_key, ref, lambda: self._cache_options.of_call(owner, function, ttl_s), function, {}, target
        )

    # --- asking Redis ------------------------------------------------------------------------------------------
    def _read(self, cache_key: str) -> Any:
        if not self._background.is_started:
            self._background.start()
        try:
            return self._reader.get(self._entry_key(cache_key))
        except RedisError:
            self._counter.error()
            return None

    async def _aread(self, cache_key: str) -> Any:
        if not self._background.is_started:
            self._background.start()
        try:
            return await self._reader.aget(self._entry_key(cache_key))
        except RedisError:
            self._counter.error()
            return None

    def _read_many(self, cache_keys: Sequence[str]) -> list[Any]:
        if not self._background.is_started:
            self._background.start()
        try:
            return self._reader.get_many([self._entry_key(cache_key) for cache_key in cache_keys])
        except RedisError:
            return [UNAVAILABLE] * len(cache_keys)

    async def _aread_many(self, cache_keys: Sequence[str]) -> list[Any]:
        if not self._background.is_started:
            self._background.start()
        try:
            return await self._reader.aget_many([self._entry_key(cache_key) for cache_key in cache_keys])
        except RedisError:
            return [UNAVAILABLE] * len(cache_keys)

    # --- from entries to values --------------------------------------------------------------------------------
    def _value(self, cache_key: str, entry: Any, request: CacheRequest | None) -> Any:
        """Return an entry's value, and count the read; an entry that cannot be read is a miss."""
        unpacked = unpack(entry)
        if unpacked is not None:
            header, payload = unpacked
            if request.is_in(header) if request is not None else self._is_known(cache_key, header):
                try:
                    value = (
                        orjson.loads(payload)
                        if header.codec == JSON and (request is None or request.takes_plain)
                        else self._decoded(cache_key, header, payload, request)
                    )
                except (CodecError, InvalidTaskError, orjson.JSONDecodeError) as error:
                    self._log_unreadable(cache_key, header, error)
                else:
                    now_ms = self._clock.now_ms()
                    self._counter.hit(cache_key, header, now_ms)
                    if now_ms >= header.refresh_from_ms:
                        self._revalidate(cache_key, header, request)
                    return value
        self._counter.miss(cache_key, request.ref if request else "", self._clock.now_ms())
        return MISSING

    def _is_known(self, cache_key: str, header: Header) -> bool:
        """Whether an entry is that of the task which this process knows under the key."""
        owner = self._registry.owner(cache_key)
        return owner is None or not header.ref or header.ref == owner.task_id.encode()

    def _decoded(self, cache_key: str, header: Header, payload: Any, request: CacheRequest | None) -> Any:
        if header.codec == ERROR:
            cache_errors = request.find_options().cache_errors if request else {}
            return CachedError(cached_error.restored(bytes(payload), cache_errors))
        if request is not None and (request.target is not None or not header.ref):
            return request.find_options().codec.decode(cache_key, header.codec, payload)
        task = self._task_of(header) if header.ref else self._registry.maker(cache_key)
        codec = self._codec if task is None else self._cache_options.of(task).codec
        return codec.decode(cache_key, header.codec, payload)

    def _log_unreadable(self, cache_key: str, header: Header, error: Exception) -> None:
        """Log a decode error once for each task, however often such entries are read."""
        about = header.task_id or cache_key.encode()
        if about not in self._logged and len(self._logged) < MAX_LOGGED:
            self._logged.add(about)
            logger.warning("the entry of %r is unreadable, and such are taken as misses: %s", cache_key, error)

    def _task_of(self, header: Header) -> WarmingTask | None:
        return self._registry.get(header.task_id.decode(errors="replace"))

    def _values(self, requests: Sequence[CacheRequest], entries: Iterable[Any]) -> list[Any]:
        values = []
        for request, entry in zip(requests, entries, strict=True):
            value = self._value(request.cache_key, self._available(entry), request)
            if isinstance(value, CachedError):
                raise value.error
            values.append(value)
        return values

    def _found(self, cache_keys: Sequence[str], entries: Iterable[Any]) -> dict[str, Any]:
        values = (
            (cache_key, self._value(cache_key, self._available(entry), None))
            for cache_key, entry in zip(cache_keys, entries, strict=True)
        )
        return {
            cache_key: value
            for cache_key, value in values
            if value is not MISSING and not isinstance(value, CachedError)
        }

    def _available(self, entry: Any) -> Any:
        if entry is UNAVAILABLE:
            self._counter.error()
            return None
        return entry

    # --- stale values ------------------------------------------------------------------------------------------
    def _revalidate(self, cache_key: str, header: Header, request: CacheRequest | None) -> None:
        """Have a value refreshed that is stale, or will be soon, if this process knows its task."""
        if header.expires_at_ms <= header.refresh_from_ms:  # it expires right now: the next reader will miss it
            return
        known = self._request_of_entry(cache_key, header) if header.ref else request
        if known is not None:
            self._miss_handler.revalidation.submit(known)

    def _request_of_entry(self, cache_key: str, header: Header) -> CacheRequest | None:
        task = self._task_of(header)
        if task is None or not task.enabled:
            return None
        try:
            target = task.target_of_ref(header.ref.decode())
            is_here = target.cache_key == cache_key
        except (InvalidTaskError, ValueError):  # of another version of the task
            return None
        return self.requests_of(task)(target) if is_here else None


def _or_default(value: Any, default: Any) -> Any:
    return default if value is MISSING or isinstance(value, CachedError) else value
