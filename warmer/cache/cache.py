"""The read path: get, count, and leave what is missing to be filled."""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

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
from warmer.store import Keys
from warmer.tasks.loading import late_function_of
from warmer.tasks.registry import Registry
from warmer.tasks.target import Target
from warmer.tasks.task import WarmingTask
from warmer.wire import UNAVAILABLE, Reader

logger = logging.getLogger("warmer.cache")

MISSING: Final[Any] = object()

MOST_SAID = 1000
"""Tasks of which it is remembered that their unreadable entries were complained of."""


class CachedError(NamedTuple):
    """An exception that is cached in the place of a value."""

    error: Exception


class Cache:
    """Reads values; what is missing is filled, what is stale is renewed behind the reader's back.

    Args:
        keys: Names the keys.
        reads: The wire.
        miss_handler: Computes what is missing.
        registry: Says which task a key belongs to.
        terms: On which terms each task's values are cached.
        counter: Counts the reads.
        settings: What holds for keys without a task.
        clock: Tells the time.
        keep_running: Starts the background thread, which sends the counts, unless it runs.
    """

    def __init__(
        self,
        keys: Keys,
        reads: Reader,
        miss_handler: MissHandler,
        registry: Registry,
        terms: TaskCacheOptions,
        counter: ReadCounter,
        settings: Settings,
        clock: Clock,
        keep_running: Callable[[], None],
    ) -> None:
        """Prepare; nothing is read yet."""
        self._entry_key = keys.entry
        self._reads = reads
        self._miss_handler = miss_handler
        self._registry = registry
        self._terms = terms
        self._counter = counter
        self._settings = settings
        self._clock = clock
        self._keep_running = keep_running
        self._codec = Codec(signing_key=settings.signing_key())
        self._said_unreadable: set[bytes] = set()

    # --- by key ------------------------------------------------------------------------------------------------
    def get(self, cache_key: str, default: Any = None) -> Any:
        """Return the cached value, or the default on a miss; a cached None is a value."""
        return self._or_default(self._opened(cache_key, self._read(cache_key), None), default)

    async def aget(self, cache_key: str, default: Any = None) -> Any:
        """As `get`, beside an event loop."""
        return self._or_default(self._opened(cache_key, await self._aread(cache_key), None), default)

    def get_many(self, cache_keys: Sequence[str]) -> dict[str, Any]:
        """Return the values that are cached, by key; all are asked for at once."""
        return self._found(cache_keys, self._read_many(cache_keys))

    async def aget_many(self, cache_keys: Sequence[str]) -> dict[str, Any]:
        """As `get_many`, beside an event loop."""
        return self._found(cache_keys, await self._aread_many(cache_keys))

    # --- what is wanted, and computed if it is missing -----------------------------------------------------------
    def want(self, wanted: CacheRequest) -> Any:
        """Return a value, computed and cached if it is missing.

        Raises:
            Exception: what the function raises.
        """
        value = self._opened(wanted.cache_key, self._read(wanted.cache_key), wanted)
        return self._miss_handler.compute(wanted) if value is MISSING else _value_of(value)

    async def awant(self, wanted: CacheRequest) -> Any:
        """As `want`, beside an event loop."""
        value = self._opened(wanted.cache_key, await self._aread(wanted.cache_key), wanted)
        return await self._miss_handler.acompute(wanted) if value is MISSING else _value_of(value)

    def peek(self, wanted: CacheRequest, default: Any) -> Any:
        """Return a value if it is cached, else the default."""
        return self._or_default(self._opened(wanted.cache_key, self._read(wanted.cache_key), wanted), default)

    async def apeek(self, wanted: CacheRequest, default: Any) -> Any:
        """As `peek`, beside an event loop."""
        return self._or_default(self._opened(wanted.cache_key, await self._aread(wanted.cache_key), wanted), default)

    def look_for(self, wanted: Sequence[CacheRequest]) -> list[Any]:
        """Return for each what is cached, or `MISSING`; all are asked for at once.

        Raises:
            Exception: one that is cached in the place of a value.
        """
        entries = self._read_many([one.cache_key for one in wanted])
        return self._opened_all(wanted, entries)

    async def alook_for(self, wanted: Sequence[CacheRequest]) -> list[Any]:
        """As `look_for`, beside an event loop."""
        entries = await self._aread_many([one.cache_key for one in wanted])
        return self._opened_all(wanted, entries)

    def wanting(self, task: WarmingTask) -> Callable[[Target], CacheRequest]:
        """Return what says of each target of a task what a read of it asks for."""
        terms, function = self._terms.of(task), late_function_of(task)
        takes_plain = terms.codec.takes_plain

        def find_terms() -> CacheOptions:
            return terms

        def wanted_of(target: Target) -> CacheRequest:
            return CacheRequest(
                target.cache_key, target.ref, find_terms, function, target.arguments, target, takes_plain
            )

        return wanted_of

    def wanted_by_key(self, cache_key: str, function: Callable[[], Any], ttl_s: float) -> CacheRequest:
        """Return what a read of this key asks for, which may be that of a task."""
        owner = self._registry.owner(cache_key)
        target = None if owner is None else owner.target()
        ref = "" if target is None else target.ref
        return CacheRequest(cache_key, ref, lambda: self._terms.of_call(owner, function, ttl_s), function, {}, target)

    # --- asking Redis -------------------------------------------------------------------------------------------
    def _read(self, cache_key: str) -> Any:
        self._keep_running()
        try:
            return self._reads.get(self._entry_key(cache_key))
        except RedisError:
            self._counter.error()
            return None

    async def _aread(self, cache_key: str) -> Any:
        self._keep_running()
        try:
            return await self._reads.aget(self._entry_key(cache_key))
        except RedisError:
            self._counter.error()
            return None

    def _read_many(self, cache_keys: Sequence[str]) -> list[Any]:
        self._keep_running()
        try:
            return self._reads.get_many([self._entry_key(cache_key) for cache_key in cache_keys])
        except RedisError:
            return [UNAVAILABLE] * len(cache_keys)

    async def _aread_many(self, cache_keys: Sequence[str]) -> list[Any]:
        self._keep_running()
        try:
            return await self._reads.aget_many([self._entry_key(cache_key) for cache_key in cache_keys])
        except RedisError:
            return [UNAVAILABLE] * len(cache_keys)

    # --- opening what came ----------------------------------------------------------------------------------------
    def _opened(self, cache_key: str, entry: Any, wanted: CacheRequest | None) -> Any:
        """Return an entry's value, and count the read; what cannot be read, for whatever reason, is a miss."""
        unpacked = unpack(entry)
        if unpacked is not None:
            header, payload = unpacked
            if self._is_ours(cache_key, header, wanted):
                try:
                    value = (
                        orjson.loads(payload)
                        if header.codec == JSON and (wanted is None or wanted.takes_plain)
                        else self._rebuilt(cache_key, header, payload, wanted)
                    )
                except (CodecError, InvalidTaskError, orjson.JSONDecodeError) as error:
                    self._say_unreadable(cache_key, header, error)
                else:
                    now_ms = self._clock.now_ms()
                    self._counter.hit(cache_key, header, now_ms)
                    if now_ms >= header.refresh_from_ms:
                        self._look_after(cache_key, header, wanted)
                    return value
        self._counter.miss(cache_key, wanted.ref if wanted else "", self._clock.now_ms())
        return MISSING

    def _say_unreadable(self, cache_key: str, header: Header, error: Exception) -> None:
        """Say it once for each task, however often such entries are read."""
        about = header.task_id or cache_key.encode()
        if about not in self._said_unreadable and len(self._said_unreadable) < MOST_SAID:
            self._said_unreadable.add(about)
            logger.warning("the entry of %r is unreadable, and such are taken as misses: %s", cache_key, error)

    def _is_ours(self, cache_key: str, header: Header, wanted: CacheRequest | None) -> bool:
        """Say whether the entry is that of the target which this process knows under the key."""
        if wanted is not None:
            return wanted.is_in(header)
        owner = self._registry.owner(cache_key)
        return owner is None or not header.ref or header.ref == owner.task_id.encode()

    def _rebuilt(self, cache_key: str, header: Header, payload: Any, wanted: CacheRequest | None) -> Any:
        if header.codec == ERROR:
            return CachedError(
                cached_error.restored(bytes(payload), wanted.find_options().cache_errors if wanted else {})
            )
        if wanted is not None and (wanted.target is not None or not header.ref):
            return wanted.find_options().codec.decode(cache_key, header.codec, payload)
        task = self._task_of(header) if header.ref else self._registry.maker(cache_key)
        codec = self._codec if task is None else self._terms.of(task).codec
        return codec.decode(cache_key, header.codec, payload)

    def _task_of(self, header: Header) -> WarmingTask | None:
        return self._registry.get(header.task_id.decode(errors="replace"))

    def _opened_all(self, wanted: Sequence[CacheRequest], entries: Iterable[Any]) -> list[Any]:
        return [
            _value_of(self._opened(one.cache_key, self._or_away(entry), one))
            for one, entry in zip(wanted, entries, strict=True)
        ]

    def _found(self, cache_keys: Sequence[str], entries: Iterable[Any]) -> dict[str, Any]:
        opened = (
            (cache_key, self._opened(cache_key, self._or_away(entry), None))
            for cache_key, entry in zip(cache_keys, entries, strict=True)
        )
        return {
            cache_key: value
            for cache_key, value in opened
            if value is not MISSING and not isinstance(value, CachedError)
        }

    def _or_away(self, entry: Any) -> Any:
        if entry is UNAVAILABLE:
            self._counter.error()
            return None
        return entry

    def _or_default(self, value: Any, default: Any) -> Any:
        return default if value is MISSING or isinstance(value, CachedError) else value

    def _look_after(self, cache_key: str, header: Header, wanted: CacheRequest | None) -> None:
        """Renew a value that is stale, or will be soon, if this process knows how."""
        if header.expires_at_ms <= header.refresh_from_ms:  # it expires right now: the next reader will miss it
            return
        renewal = self._wanted_of_entry(cache_key, header) if header.ref else wanted
        if renewal is not None:
            self._miss_handler.revalidation.submit(renewal)

    def _wanted_of_entry(self, cache_key: str, header: Header) -> CacheRequest | None:
        task = self._task_of(header)
        if task is None or not task.enabled:
            return None
        try:
            target = task.target_of_ref(header.ref.decode())
            is_here = target.cache_key == cache_key
        except (InvalidTaskError, ValueError):  # of another version of the task
            return None
        return self.wanting(task)(target) if is_here else None


def _value_of(value: Any) -> Any:
    if isinstance(value, CachedError):
        raise value.error
    return value
