"""The background thread of a process: carries out its duties at a steady pace."""

import logging
import threading
from collections.abc import Callable, Sequence

from redis.exceptions import RedisError

from warmer import fork
from warmer.outage import Outage
from warmer.spawn import OnDemandThread, Spawn, start_thread

logger = logging.getLogger("warmer.background")

Duty = Callable[[], object]
"""Does one thing once. It may raise `redis.RedisError`, and is called again at the next tick."""


class Background(fork.ForkSafe):
    """A thread that calls each duty once per interval; no failure ends it.

    Args:
        duties: In the order in which they are called; one that raises ends the tick.
        interval_s: Seconds between two ticks.
        spawn: Starts the thread.

    Example:
        >>> Background([lambda: None], interval_s=1.0).tick()
        True
    """

    def __init__(self, duties: Sequence[Duty], interval_s: float, spawn: Spawn = start_thread) -> None:
        """Prepare; `start` starts the thread."""
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
        self._is_started = False
        self._outage = Outage(
            logger,
            f"Redis is away or refuses (%s); trying again every {self._interval_s:g} s",
            "Redis is back",
        )

    def start(self) -> None:
        """Start the thread, if it does not run yet; it is stopped when the process ends."""
        with self._lock:
            self._is_started = True  # even if the interpreter is ending: from then on nothing is sent
            if not self._thread.is_alive:
                self._stopped.clear()
                self._take_back_exit = fork.at_exit(self.stop)
                self._thread.ensure_running()

    def keep_running(self) -> None:
        """Start the thread if it was not started yet, in this process or in the forked child that it is."""
        if not self._is_started:
            self.start()

    def stop(self) -> None:
        """Stop the thread, after a last tick for what is still unsent."""
        with self._lock:
            was_running, self._is_started = self._thread.is_alive, False
            self._take_back_exit()
            self._stopped.set()
        if was_running:
            self._thread.join(2 * self._interval_s + 1)
            self.tick()

    def tick(self) -> bool:
        """Carry out all duties, once.

        Returns:
            False if Redis did not answer, or a duty failed; the log says so.
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
