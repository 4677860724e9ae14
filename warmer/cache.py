"""The read path: get, count, and on a miss compute once."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

from redis.exceptions import RedisError

from warmer import forking
from warmer.access import ReadCounter
from warmer.clock import Clock
from warmer.codec import decode
from warmer.compute import call
from warmer.entry import Header, Origin, unpack
from warmer.errors import CodecError, InvalidTaskError, described
from warmer.pulse import Pulse
from warmer.refresh import Refreshed, Refresher, Work, is_fresh, nothing_will_do
from warmer.registry import Registry
from warmer.settings import Settings
from warmer.store import Result, Store
from warmer.task import is_plain_text

logger = logging.getLogger("warmer.cache")

MISSING: Any = object()
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.005, 0.1

PAUSE_AFTER_FAILURE_S = 1.0
"""How long reads do without Redis after it has failed one of them."""


class Cache:
    """Reads values, and computes those that are missing under the lease.

    Args:
        store: Where entries are.
        registry: Says which task a key belongs to.
        refresher: The refresh routine.
        counter: Counts the reads.
        settings: Time-outs.
        clock: Tells the time.
        pulse: Sends the counts, and records computed misses.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        refresher: Refresher,
        counter: ReadCounter,
        settings: Settings,
        clock: Clock,
        pulse: Pulse,
    ) -> None:
        """Start with nothing in flight."""
        self._store = store
        self._registry = registry
        self._refresher = refresher
        self._counter = counter
        self._settings = settings
        self._clock = clock
        self._pulse = pulse
        self._flights = Flights(settings.lease_wait_s)
        self._skip_redis_until_s = 0.0

    def get(self, cache_key: str, default: Any = None) -> Any:
        """Return the cached value, or the default on a miss; a cached None is a value."""
        if not self._pulse.is_running:  # at the first read, and in a forked child
            self._pulse.start()
        found = self._lookup(cache_key)
        if found is None:
            self._counter.miss(cache_key)
            return default
        header, value = found
        self._counter.hit(cache_key, header, self._clock.now_ms())
        return value

    def get_or_compute(self, cache_key: str, function: Callable[[], Any], ttl_s: float) -> Any:
        """Return the cached value, or compute and cache it: once, however many ask at the same time.

        Raises:
            Exception: what the function raises, if this caller ran it.
        """
        value = self.get(cache_key, MISSING)
        if value is not MISSING:
            return value
        with self._flights.alone(cache_key):
            found = self._lookup(cache_key)
            return found[1] if found else self._computed(cache_key, function, ttl_s)

    def _lookup(self, cache_key: str) -> tuple[Header, Any] | None:
        """Return an entry's header and value; what cannot be read, for whatever reason, is a miss."""
        if self._is_redis_away():
            self._counter.error()
            return None
        try:
            entry = unpack(self._store.read(cache_key))
            if entry is None or self._is_foreign(cache_key, entry[0]):
                return None
            return entry[0], decode(entry[0].codec, entry[1])
        except CodecError as error:
            logger.warning("entry of %r is unreadable, taken as a miss: %s", cache_key, error)
        except RedisError as error:
            self._counter.error()
            self._leave_redis_alone(error)
        return None

    def _is_redis_away(self) -> bool:
        return self._clock.monotonic_s() < self._skip_redis_until_s

    def _leave_redis_alone(self, error: RedisError) -> None:
        """After a failure, let reads do without Redis for a moment, so that not each of them waits for it in vain."""
        self._skip_redis_until_s = self._clock.monotonic_s() + PAUSE_AFTER_FAILURE_S
        logger.warning("Redis does not answer, reads are misses for %g s: %s", PAUSE_AFTER_FAILURE_S, described(error))

    def _is_foreign(self, cache_key: str, header: Header) -> bool:
        """Say whether the entry is another target's than the one that this process knows under the key."""
        owner = self._registry.owner(cache_key)
        return owner is not None and header.ref != b"" and header.ref != owner.task_id.encode()

    def _computed(self, cache_key: str, function: Callable[[], Any], ttl_s: float) -> Any:
        task = self._registry.owner(cache_key)
        ref = task.task_id if task else ""
        work = Work(ref, cache_key, ttl_s, Origin.MISS, lambda: call(function, {}), token_hex(16))
        will_do = is_fresh
        deadline_s = self._clock.monotonic_s() + self._settings.lease_wait_s
        for pause_s in _pauses():
            if self._is_redis_away():
                return work.compute()
            try:
                refreshed = self._refresher.refresh(work, will_do)
            except RedisError as error:
                self._leave_redis_alone(error)
                return work.compute()
            if refreshed.result not in (Result.BUSY, Result.FRESH):
                self._pulse.unsettled(ref, refreshed)
                return _value_of(refreshed)
            # Somebody else has computed the value, or is at it.
            found = self._lookup(cache_key)
            if found is not None:
                return found[1]
            if refreshed.result is Result.FRESH:
                will_do = nothing_will_do  # an entry that cannot be read is replaced
            if self._clock.monotonic_s() >= deadline_s:
                logger.warning("waited %.1f s for another's computation of %r", self._settings.lease_wait_s, cache_key)
                return work.compute()
            time.sleep(pause_s)
        raise AssertionError("pauses never end")


class Flights:
    """Lets one thread of this process at a time look after a key.

    Args:
        wait_s: How long another one waits for its turn, before it goes ahead all the same.
    """

    def __init__(self, wait_s: float) -> None:
        """Start with nothing in flight."""
        self._wait_s = wait_s
        self._start_afresh()
        self._fork_hook = forking.in_child(self._start_afresh)

    def _start_afresh(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def alone(self, cache_key: str) -> Iterator[None]:
        """Wait, within bounds, until no other thread looks after this key; the lock goes when the last one leaves."""
        with self._lock:
            lock, holders = self._locks.get(cache_key, (threading.Lock(), 0))
            self._locks[cache_key] = lock, holders + 1
        is_mine = lock.acquire(timeout=self._wait_s)
        try:
            yield
        finally:
            if is_mine:
                lock.release()
            with self._lock:
                lock, holders = self._locks.get(cache_key, (lock, 1))  # in a child forked meanwhile: none
                if holders == 1:
                    self._locks.pop(cache_key, None)
                else:
                    self._locks[cache_key] = lock, holders - 1


def check_key(cache_key: str) -> str:
    """Return the key, or refuse one that cannot be used.

    Raises:
        InvalidTaskError: the key is not a plain text of 1 to 512 characters.
    """
    if not isinstance(cache_key, str) or not 1 <= len(cache_key) <= 512 or not is_plain_text(cache_key):
        raise InvalidTaskError(f"a cache key must be a plain text of 1 to 512 characters, got {ascii(cache_key)[:80]}")
    return cache_key


def check_ttl(ttl_s: float) -> float:
    """Return the ttl, or refuse one that cannot be used.

    Raises:
        InvalidTaskError: the ttl is not a number of seconds above 0.
    """
    if isinstance(ttl_s, bool) or not isinstance(ttl_s, int | float) or not 0 < ttl_s <= 315_360_000:
        raise InvalidTaskError(f"ttl must be a number of seconds above 0 (at most ten years), got {ttl_s!r}")
    return ttl_s


def _value_of(refreshed: Refreshed) -> Any:
    """Return what was computed, also if it could not be cached, or raise what the computation raised."""
    if refreshed.exception is not None:
        raise refreshed.exception
    return refreshed.value


def _pauses() -> Iterator[float]:
    pause_s = FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(1.5 * pause_s, LONGEST_PAUSE_S)
