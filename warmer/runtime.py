"""The composition root: the parts of a process of the fleet, each made at first use from those that it needs."""

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from warmer import fork
from warmer.cache import MissHandler
from warmer.cache.background_refresh import BackgroundRefresh
from warmer.cache.cache import Cache
from warmer.clock import Clock
from warmer.engine.background import Background
from warmer.engine.claims import Claims
from warmer.engine.drain_queue import DrainQueue
from warmer.engine.registration import Registration
from warmer.engine.switching import Switching
from warmer.on_demand.bulk import BulkRuns
from warmer.on_demand.warming import OnDemandWarming
from warmer.refresh.cache_options import TaskCacheOptions
from warmer.refresh.read_counter import ReadCounter
from warmer.refresh.reader_usage import ReaderUsage
from warmer.refresh.refresher import Refresher
from warmer.settings import Settings
from warmer.store import Store
from warmer.tasks.registry import Registry
from warmer.tasks.switch import Switch

Made = TypeVar("Made")


class lazy(cached_property[Made]):  # noqa: N801  # used like cached_property
    """A cached property that is made only once, however many threads come at the same time.

    The object has a re-entrant lock in `_making`. Once made, a part is found without it.
    """

    if not TYPE_CHECKING:  # the base class has the very types that are wanted

        def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
            """Make it under the lock."""
            if instance is None:
                return self
            with instance._making:
                return super().__get__(instance, owner)


class Runtime:
    """The parts of a process of the fleet: an application, a worker or a scheduler.

    Args:
        settings: All settings, with the address of Redis.
        registry: The tasks that this process knows; a new one unless given.
        clock: Tells the time; a new one unless given.

    Raises:
        SettingsError: no Redis is configured.
    """

    def __init__(self, settings: Settings, registry: Registry | None = None, clock: Clock | None = None) -> None:
        """Prepare; nothing is sent and no thread runs yet."""
        settings.required_redis_url()
        self.settings = settings
        self.registry = Registry() if registry is None else registry
        self.clock = clock or Clock()
        self.counter = ReadCounter()
        self.registration = Registration(
            self.registry,
            lambda: self.store,
            settings.embedded,
            lambda epoch: self.background.registered_in(epoch),
        )
        self._start_afresh()
        self._fork_hook = fork.in_child(self._start_afresh)

    def _start_afresh(self) -> None:
        self._making = threading.RLock()
        self._has_declared_limits = False

    @lazy
    def store(self) -> Store:
        """The keys in Redis."""
        return Store(self.settings, self.clock)

    @lazy
    def queue(self) -> DrainQueue:
        """The RQ queue."""
        return DrainQueue(self.store.control, self.settings)

    @lazy
    def refresher(self) -> Refresher:
        """The refresh routine."""
        return Refresher(self.store.entries, self.settings, self.clock, self.background.retry_later, self.reader_usage)

    @lazy
    def reader_usage(self) -> ReaderUsage:
        """What this process computes under limits without having been asked by a worker."""
        return ReaderUsage(self.store.limits.report_reader_usage, self.settings.lease_timeout_s)

    @lazy
    def cache_options(self) -> TaskCacheOptions:
        """On which terms each task's values are cached."""
        return TaskCacheOptions(self.settings)

    @lazy
    def claims(self) -> Claims:
        """What workers do with claims."""
        return Claims(self.store, self.registry, self.cache_options, self.settings)

    @lazy
    def on_demand(self) -> OnDemandWarming:
        """Warming by hand."""
        return OnDemandWarming(self.store, self.registry, self.cache_options, self.refresher, self.claims)

    @lazy
    def readers_refresher(self) -> Refresher:
        """The refresh routine, with the patience of a reader."""
        return Refresher(
            self.store.readers_entries, self.settings, self.clock, self.background.retry_later, self.reader_usage
        )

    @lazy
    def miss_handler(self) -> MissHandler:
        """What happens at a miss."""
        return MissHandler(
            self.store.keys,
            self.store.reader,
            self.readers_refresher,
            self.settings,
            self.clock,
            self.background.record_miss,
            self.background_refresh,
        )

    @lazy
    def background_refresh(self) -> BackgroundRefresh:
        """Where refreshes run that no reader waits for."""
        return BackgroundRefresh()

    @lazy
    def cache(self) -> Cache:
        """The read path."""
        return Cache(
            self.store.keys,
            self.store.reader,
            self.miss_handler,
            self.registry,
            self.cache_options,
            self.counter,
            self.settings,
            self.clock,
            self.background.keep_running,
        )

    @lazy
    def bulk_runs(self) -> BulkRuns:
        """The runs of `warm_many` in this process."""
        return BulkRuns(self.store, self.registry, self.settings, self.queue.try_hint)

    @lazy
    def background(self) -> Background:
        """The background thread."""
        return Background(
            self.store,
            self.counter,
            lambda ended: self.claims.settle(ended),
            self._emptied,
            self._register,
            min(self.settings.flush_s, self.settings.tick_s),
        )

    @lazy
    def switching(self) -> Switching:
        """The fleet's switch."""
        return Switching(self.store, self.background, self.clock)

    def close(self) -> None:
        """Send what is unsent, stop the threads of this object and close its connections."""
        parts = vars(self)
        if "bulk_runs" in parts:
            self.bulk_runs.close()
        if "background" in parts:
            self.background.stop()
        if "miss_handler" in parts:
            self.miss_handler.close()
        if "reader_usage" in parts:
            self.reader_usage.close()
        if "store" in parts:
            self.store.close()

    # --- what they owe to one another ------------------------------------------------------------------------
    def _register(self) -> None:
        """Register what was declared; at first also the limits that this process knows of."""
        if not self._has_declared_limits:
            self._declare_limits()
        self.registration.register_declared()

    def _declare_limits(self) -> None:
        self.store.limits.declare({name: limit.to_json() for name, limit in self.settings.limits.items()})
        self._has_declared_limits = True

    def _emptied(self, switch: Switch | None) -> None:
        """Bring back what this process knows, after Redis was emptied.

        Raises:
            redis.RedisError: Redis did not answer; it will be tried again.
        """
        if switch is not None:
            self.store.switch.restore(switch)
        self._declare_limits()
        self.registration.register_again()
        self.queue.try_hint()
