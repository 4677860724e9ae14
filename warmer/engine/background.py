"""The one background thread of a process: flushes reads, notices an emptied Redis, shows life."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from secrets import token_hex

from redis.exceptions import RedisError

from warmer import fork
from warmer.codec.entry import Origin
from warmer.errors import described
from warmer.refresh.publisher import Refreshed
from warmer.refresh.read_counter import Counted, ReadCounter
from warmer.store import Store
from warmer.tasks.switch import Switch

logger = logging.getLogger("warmer.background")

MOST_UNSETTLED = 10_000
MOST_OWED = 1_000
MOST_SETTLING_S = 0.5
MOST_AT_ONCE = 500

Unsettled = tuple[str, Origin, Refreshed]
"""A refresh without a claim: the target's ref, who computed, how it ended."""


@dataclass(frozen=True, slots=True)
class _Batch:
    number: int
    counted: Counted


class Background:
    """Does at a steady pace what a process owes to the fleet; no failure ends it.

    Args:
        store: Where to.
        counter: The reads to flush.
        settle: Records refreshes that this process made without a claim.
        emptied: Called when Redis turns out to have been emptied, with the switch as last seen.
        register: Registers what this process has declared, and not registered yet.
        interval_s: Seconds between two beats.
    """

    def __init__(
        self,
        store: Store,
        counter: ReadCounter,
        settle: Callable[[Sequence[Unsettled]], None],
        emptied: Callable[[Switch | None], None],
        register: Callable[[], None],
        interval_s: float,
    ) -> None:
        """Prepare; `start` starts the thread."""
        self._store = store
        self._counter = counter
        self._settle = settle
        self._emptied = emptied
        self._register = register
        self._interval_s = interval_s
        self._start_afresh()
        self._fork_hook = fork.in_child(self._start_afresh)

    def _start_afresh(self) -> None:
        self._reader = token_hex(8)
        self._number = 0
        self._unsent: _Batch | None = None
        self._unsettled: deque[Unsettled] = deque(maxlen=MOST_UNSETTLED)
        self._unrecorded = 0
        self._owed: deque[Callable[[], object]] = deque(maxlen=MOST_OWED)
        self._epoch: str | None = None
        self._switch: Switch | None = None
        self._worker: str | None = None
        self._healthy = True
        self._lock = threading.Lock()
        self._beating = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._at_exit: Callable[[], object] = lambda: None
        self._is_running = False

    def start(self, worker: str | None = None) -> None:
        """Start the thread, if it does not run yet.

        Args:
            worker: Name of the worker whose life it shows, if this process is one.
        """
        with self._lock:
            self._worker = worker or self._worker
            if self._thread is None or not self._thread.is_alive():
                self._stopped.clear()
                self._at_exit = fork.at_exit(self.stop)
                self._thread = threading.Thread(target=self._run, name="warmer-pulse", daemon=True)
                self._is_running = True
                try:
                    self._thread.start()
                except RuntimeError:  # the interpreter is ending: from now on nothing is sent
                    self._thread = None

    def keep_running(self) -> None:
        """Start the thread if it was not started yet, in this process or in the forked child that it is."""
        if not self._is_running:
            self.start()

    def stop(self) -> None:
        """Stop the thread, after a last beat for what is still unsent."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._is_running = False
        if thread is None:
            return
        self._at_exit()
        self._stopped.set()
        thread.join(timeout=2 * self._interval_s + 1)
        self.retire()
        self.beat()

    def retire(self) -> None:
        """Show a worker's life no longer: it has stopped, though this process goes on."""
        with self._beating:  # or a beat that is under way would bring it back
            worker, self._worker = self._worker, None
            if worker is not None:
                self._attempt(lambda: self._store.fleet.worker_gone(worker))

    def record_miss(self, ref: str, origin: Origin, refreshed: Refreshed) -> None:
        """Remember a value that a reader computed, to be recorded at the next beat: readers do not wait for that."""
        if len(self._unsettled) == MOST_UNSETTLED:
            self._unrecorded += 1
        self._unsettled.append((ref, origin, refreshed._replace(value=None, encoded=None, exception=None)))

    def retry_later(self, action: Callable[[], object]) -> None:
        """Have an action done at the next beat, or at the first one at which Redis answers."""
        self._owed.append(action)

    def saw(self, switch: Switch) -> None:
        """Remember the switch that this process has just set."""
        self._switch = switch

    def registered_in(self, epoch: str) -> None:
        """Remember in which epoch of Redis this process first registered anything: a later one knows nothing of it."""
        self._epoch = self._epoch or epoch

    def beat(self) -> bool:
        """Do all that is owed, once; False when Redis did not take it."""
        with self._beating:
            return self._attempt(self._beat)

    def _beat(self) -> None:
        if self._worker is not None:
            self._store.fleet.worker_beat(self._worker)
        self._look_after_epoch()
        self._register()
        self._flush()
        self._do_what_is_owed()
        self._settle_some()

    def _do_what_is_owed(self) -> None:
        """Try each action; one that fails waits for the next beat, and holds nothing else up."""
        for _ in range(len(self._owed)):
            action = self._owed.popleft()
            try:
                action()
            except RedisError:
                self._owed.append(action)
                return

    def _settle_some(self) -> None:
        """Record computed values for a while: what is left waits for the next beat, and all else comes first again."""
        deadline_s = time.monotonic() + MOST_SETTLING_S
        while self._unsettled and time.monotonic() < deadline_s:
            self._settle_first([self._unsettled[n] for n in range(min(MOST_AT_ONCE, len(self._unsettled)))])
        if self._unrecorded:
            unrecorded, self._unrecorded = self._unrecorded, 0
            logger.warning("%d computed values were not recorded: there are too many at once", unrecorded)
            self._store.stats.count("unrecorded_misses", unrecorded)

    def _settle_first(self, unsettled: Sequence[Unsettled]) -> None:
        try:
            self._settle(unsettled)
        except RedisError:
            raise  # they stay, for the next beat
        except Exception:
            logger.exception("%d computed values could not be recorded, and are not", len(unsettled))
        for _ in unsettled:
            self._unsettled.popleft()

    def _look_after_epoch(self) -> None:
        epoch, switch = self._store.switch.epoch()
        if self._epoch is not None and epoch != self._epoch:
            logger.warning("Redis was emptied: registering again what this process knows")
            self._emptied(self._switch)
            epoch, switch = self._store.switch.epoch()
        self._epoch, self._switch = epoch, switch or self._switch

    def _flush(self) -> None:
        if self._unsent is None:
            counted = self._counter.take()
            if not any(counted):
                return
            self._number += 1
            self._unsent = _Batch(self._number, counted)
        batch = self._unsent
        taken_in = self._store.reads.flush(self._reader, batch.number, batch.counted.reads)
        self._unsent = None
        if taken_in and batch.counted.dropped:
            logger.warning("%d reads were not counted: too many distinct keys in one interval", batch.counted.dropped)
            self._store.stats.count("dropped_reads", batch.counted.dropped)
        if taken_in and batch.counted.errors:
            self._store.stats.count("read_errors", batch.counted.errors)

    def _run(self) -> None:
        stopped = self._stopped
        while not stopped.wait(self._interval_s):
            self.beat()

    def _attempt(self, action: Callable[[], object]) -> bool:
        """Try, and log only the first failure of an outage: a process must outlive Redis quietly."""
        try:
            action()
        except RedisError as error:
            if self._healthy:
                logger.warning(
                    "Redis is away or refuses (%s); trying again every %g s", described(error), self._interval_s
                )
            self._healthy = False
            return False
        except Exception:
            logger.exception("a beat failed")
            return False
        if not self._healthy:
            logger.warning("Redis is back")
        self._healthy = True
        return True
