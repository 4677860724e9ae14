"""Background loop of a process: one thread that calls all duties at a fixed interval."""

import logging
import threading
from collections.abc import Callable, Sequence

from redis.exceptions import RedisError

from warmer import fork
from warmer.outage import Outage
from warmer.spawn import OnDemandThread, Spawn, start_thread

logger = logging.getLogger("warmer.background")

Duty = Callable[[], object]
"""One run of a background duty. It may raise `redis.RedisError`; the next tick calls it again."""


class Background(fork.ForkSafe):
    """A thread that calls each duty once per interval; no failure ends it.

    Args:
        duties: The duties, in the order of their calls; one that raises ends the tick.
        interval_s: Seconds between two ticks.
        spawn: Starts the thread.

    Attributes:
        is_started: Whether the thread was started in this process; a forked child is another process.
    """

    def __init__(self, duties: Sequence[Duty], interval_s: float, spawn: Spawn = start_thread) -> None:
        self._duties = duties
        self._interval_s = interval_s
        self._spawn = spawn
        super().__init__()

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()
        self._ticking = threading.Lock()
        self._stopped = threading.Event()
        self._thread = OnDemandThread("warmer-background", self._run, self._spawn)
        self._take_back_exit: Callable[[], object] = lambda: None
        self.is_started = False
        self._outage = Outage(
            logger,
            f"Redis is away or refuses (%s); trying again every {self._interval_s:g} s",
            "Redis is back",
        )

    def start(self) -> None:
        """Start the thread, if it does not run yet; the end of the process stops it."""
        with self._lock:
            self.is_started = True  # also if the interpreter is ending and no thread can start
            if not self._thread.is_alive:
                self._stopped.clear()
                self._take_back_exit = fork.at_exit(self.stop)
                self._thread.ensure_running()

    def stop(self) -> None:
        """Stop the thread, and run a last tick to send what is left."""
        with self._lock:
            was_running, self.is_started = self._thread.is_alive, False
            self._take_back_exit()
            self._stopped.set()
        if was_running:
            self._thread.join(2 * self._interval_s + 1)
            self.tick()

    def tick(self) -> bool:
        """Call all duties once.

        Returns:
            False if Redis did not answer, or a duty failed; both are logged.
        """
        with self._ticking:
            try:
                for duty in self._duties:
                    duty()
            except RedisError as error:
                self._outage.begin(error)
                return False
            except Exception:
                logger.exception("a background duty failed")
                return False
            self._outage.end()
            return True

    def _run(self) -> None:
        stopped = self._stopped
        while not stopped.wait(self._interval_s):
            self.tick()
