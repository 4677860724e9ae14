"""The composition root: what a process of the fleet consists of, each part made from those before it."""

from warmer.cache.background_refresh import BackgroundRefresh
from warmer.cache.cache import Cache
from warmer.cache.miss_handler import MissHandler
from warmer.clock import Clock
from warmer.engine.background import Background, EpochWatch, MissRecorder, ReadFlusher, Retries, WorkerHeartbeat
from warmer.engine.claims import Claims
from warmer.engine.drain_queue import DrainQueue
from warmer.engine.registration import Registration
from warmer.engine.switching import Switching
from warmer.on_demand.bulk import BulkRuns
from warmer.on_demand.warming import OnDemandWarming
from warmer.refresh.cache_options import TaskCacheOptions
from warmer.refresh.lease_renewal import LeaseRenewer
from warmer.refresh.read_counter import ReadCounter
from warmer.refresh.reader_usage import ReaderUsage
from warmer.refresh.refresher import Refresher
from warmer.settings import Settings
from warmer.spawn import Spawn, start_thread
from warmer.store import Entries, Store
from warmer.tasks.registry import Registry


class Runtime:
    """The parts of a process of the fleet: of an application, a worker or a scheduler.

    Making it sends nothing and starts no thread; each part does so when it is first used.

    Args:
        settings: All settings, with the address of Redis.
        registry: The tasks that this process knows; a new one unless given.
        clock: Tells the time; a new one unless given.
        spawn: Starts the threads that work in the background.
        background_refresh: Where refreshes run that no reader waits for; a new one unless given.

    Raises:
        SettingsError: no Redis is configured.

    Example:
        >>> runtime = Runtime(Settings.load(redis_url="redis://localhost:6379/0"))
        >>> runtime.registry.tasks()
        []
        >>> runtime.close()
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry | None = None,
        clock: Clock | None = None,
        spawn: Spawn = start_thread,
        background_refresh: BackgroundRefresh | None = None,
    ) -> None:
        """Prepare; nothing is sent and no thread runs yet."""
        self.settings = settings
        self.registry = Registry() if registry is None else registry
        self.clock = clock or Clock()
        self.store = Store(settings, self.clock)
        self.queue = DrainQueue(self.store.rq.connection, settings)
        self.retries = Retries()
        self._compose_refresh(spawn)
        self._compose_engine(spawn)
        self._compose_cache(background_refresh or BackgroundRefresh())
        self.on_demand = OnDemandWarming(self.store, self.registry, self.cache_options, self.refresher, self.claims)
        self.bulk_runs = BulkRuns(self.store, self.registry, settings, self.queue.try_hint)

    def _compose_refresh(self, spawn: Spawn) -> None:
        """Make what refreshes values: by hand and for workers, and with the shorter time-outs of readers."""
        settings = self.settings
        self.cache_options = TaskCacheOptions(settings)
        self.reader_usage = ReaderUsage(self.store.limits.report_reader_usage, settings.lease_timeout_s, spawn)

        def refresher(entries: Entries) -> Refresher:
            renewer = LeaseRenewer(min(settings.lease_timeout_s, settings.claim_timeout_s) / 3, spawn)
            return Refresher(entries, renewer, self.clock, self.retries.add, self.reader_usage)

        self.refresher = refresher(self.store.entries)
        self.readers_refresher = refresher(self.store.readers_entries)

    def _compose_engine(self, spawn: Spawn) -> None:
        """Make what serves the fleet: claims, registration, the background thread with its duties, and the switch."""
        settings, store = self.settings, self.store
        self.claims = Claims(store, self.registry, self.cache_options, settings, self.refresher)
        self.registration = Registration(self.registry, store, settings.limits, settings.embedded)
        self.worker_heartbeat = WorkerHeartbeat(store)
        self.epoch_watch = EpochWatch(store, self.registration, self.queue)
        self.read_counter = ReadCounter()
        self.miss_recorder = MissRecorder(store, self.claims)
        duties = (
            self.worker_heartbeat.beat,
            self.epoch_watch.check,
            self.registration.register_known,
            ReadFlusher(store, self.read_counter).flush,
            self.retries.run,
            self.miss_recorder.run,
        )
        self.background = Background(duties, min(settings.flush_s, settings.tick_s), spawn)
        self.switching = Switching(store, self.epoch_watch, self.background, self.clock)

    def _compose_cache(self, background_refresh: BackgroundRefresh) -> None:
        """Make the read path."""
        entry_key, reader = self.store.entries.key_of, self.store.reader
        self.miss_handler = MissHandler(
            entry_key,
            reader,
            self.readers_refresher,
            self.settings,
            self.clock,
            self.miss_recorder.add,
            background_refresh,
        )
        self.cache = Cache(
            entry_key,
            reader,
            self.miss_handler,
            self.registry,
            self.cache_options,
            self.read_counter,
            self.settings,
            self.clock,
            self.background,
        )

    def close(self) -> None:
        """Send what is unsent, stop all threads and close the connections."""
        self.bulk_runs.close()
        self.background.stop()
        self.miss_handler.close()
        self.reader_usage.close()
        self.store.close()
