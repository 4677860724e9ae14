"""Everything of warmer in Redis: one object for each subject, one method for each operation."""

from warmer.clock import Clock
from warmer.connect import connect
from warmer.settings import Settings
from warmer.store.control.fleet import Fleet
from warmer.store.control.fleet_switch import FleetSwitch
from warmer.store.control.limits import Limits
from warmer.store.control.on_demand_requests import OnDemandRequests
from warmer.store.control.quarantine import Quarantine
from warmer.store.control.reads import ReadCounts
from warmer.store.control.recordings import Recordings
from warmer.store.control.refreshes import Refreshes
from warmer.store.control.review_queue import ReviewQueue
from warmer.store.control.rq_access import RqAccess
from warmer.store.control.statistics import Statistics
from warmer.store.control.targets import Targets
from warmer.store.control.tasks import RegisteredTasks
from warmer.store.entries import Entries
from warmer.store.keys import Keys
from warmer.store.scripts import Scripts
from warmer.wire import Reader, open_reader


class Store:
    """Access to warmer's keys in Redis, one object for each subject.

    The control server holds all but the cached values. `entries`, `readers_entries` and `reader` use the cache's
    server, which may be another one or a Cluster.

    Args:
        settings: Where Redis is, and the time-outs.
        clock: Follows the server's time.

    Raises:
        SettingsError: no address of Redis is configured, or it cannot be used.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Prepare clients; nothing is sent yet."""
        self.settings = settings
        self.clock = clock
        self.keys = Keys(settings.namespace)
        self._prepare_control(settings, clock)
        self._prepare_cache(settings)

    def _prepare_control(self, settings: Settings, clock: Clock) -> None:
        self.control = connect(settings.required_redis_url(), settings.redis_timeout_s)
        scripts = Scripts(self.control, settings)
        self.tasks = RegisteredTasks(scripts)
        self.switch = FleetSwitch(scripts, clock)
        self.targets = Targets(scripts)
        self.refreshes = Refreshes(scripts)
        self.requests = OnDemandRequests(scripts, settings)
        self.reads = ReadCounts(scripts, settings)
        self.reviews = ReviewQueue(scripts)
        self.quarantine = Quarantine(scripts)
        self.limits = Limits(scripts)
        self.fleet = Fleet(scripts, settings)
        self.stats = Statistics(scripts)
        self.recordings = Recordings(scripts)
        keys = self.keys
        self.rq = RqAccess(self.control, keys.scheduled_jobs, keys.scheduler_instances, keys.leader)

    def _prepare_cache(self, settings: Settings) -> None:
        url = settings.cache_url or settings.required_redis_url()
        self.reader: Reader = open_reader(url, settings.read_timeout_s)
        self.entries = Entries(url, settings, settings.redis_timeout_s)
        self.readers_entries = Entries(url, settings, settings.read_timeout_s, self.reader)

    def close(self) -> None:
        """Close all connections."""
        for client in (self.control, self.entries, self.readers_entries, self.reader):
            client.close()

    def ping(self) -> None:
        """Check that both servers answer.

        Raises:
            redis.RedisError: one does not answer.
        """
        self.control.ping()
        self.entries.ping()
