"""Runs a scheduler, and keeps it running while Redis comes and goes."""

import logging
import signal
import threading

from redis.exceptions import RedisError

from warmer.clock import Clock
from warmer.engine.drain_queue import DrainQueue
from warmer.engine.review_loop import ReviewLoop
from warmer.errors import described
from warmer.outage import Outage
from warmer.runtime import Runtime
from warmer.settings import Settings
from warmer.store import Store
from warmer_scheduler.leader import Leadership
from warmer_scheduler.periodic_jobs import periodic_jobs
from warmer_scheduler.rq_schedule import RqSchedule
from warmer_scheduler.tick import Ticker

logger = logging.getLogger("warmer.scheduler")


def run_scheduler(runtime: Runtime) -> None:
    """Run a scheduler in this process until a signal stops it.

    Any number of them may run: one leads, the others take over when it is gone.

    Args:
        runtime: Of this process.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda signum, frame: stop.set())
    run_in_thread(runtime, stop)


def run_in_thread(runtime: Runtime, stop: threading.Event) -> None:
    """Run a scheduler in this thread until `stop` is set."""
    SchedulerLoop(runtime.store, runtime.queue, runtime.settings, runtime.clock).run(stop)


class SchedulerLoop:
    """Leads or stands by, tick after tick; no failure ends it.

    Args:
        store: The keys in Redis.
        queue: Where drains are asked for.
        settings: The namespace, and seconds between two ticks.
        clock: Measures the time between two ticks.
    """

    def __init__(self, store: Store, queue: DrainQueue, settings: Settings, clock: Clock) -> None:
        """Prepare; nothing is sent yet."""
        self._store = store
        self._settings = settings
        self._clock = clock
        self._leader = Leadership(store, settings.tick_s)
        self._ticker = Ticker(store, queue, ReviewLoop(store, settings, self._leader.token), clock)
        self._schedule = RqSchedule(queue, store.rq, settings.tick_s, self._leader.token)
        self._leads = False
        self._outage = Outage(
            logger, "Redis is away or refuses (%s); trying again every tick", recovered="Redis is back"
        )

    def run(self, stop: threading.Event) -> None:
        """Pass again and again until `stop` is set; then resign."""
        while not stop.is_set():
            began_s = self._clock.monotonic_s()
            self._try_pass()
            stop.wait(max(0.0, self._settings.tick_s - (self._clock.monotonic_s() - began_s)))
        try:
            self._leader.resign()
        except RedisError as error:
            logger.warning("could not resign, the leader lease expires by itself: %s", described(error))

    def one_pass(self) -> bool:
        """Try to lead; tick if this scheduler leads. Returns whether it does.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        leads = self._leader.lead()
        if leads != self._leads:
            logger.info("this scheduler %s", "leads" if leads else "stands by")
            self._leads = leads
        if leads:
            self._ticker.tick()
            self._schedule.keep_to(periodic_jobs(self._settings.namespace, self._store.switch.get()))
            self._schedule.enqueue_jobs()
        return leads

    def _try_pass(self) -> None:
        try:
            self.one_pass()
        except RedisError as error:
            self._outage.begin(error)
        except Exception:
            logger.exception("a tick failed")
        else:
            self._outage.end()
