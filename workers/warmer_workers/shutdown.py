"""How a worker process is told to stop, and that it then ends in time, whatever its drain, RQ or Redis do.

The first SIGTERM or SIGINT: nothing more is claimed; what has begun may go on for `grace_s`, and is given back then.
A drain's process that lives on after that is killed, and a worker that has still not ended is left as it is.
The second one, or SIGQUIT at any time: the worker leaves at once. In either case nothing is lost: what was claimed is
given back or lapses, and is computed elsewhere.

Exit codes: 0 after the first; 128 and the signal's number (143 for SIGTERM, 130 for SIGINT) when it left at once.
"""

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rq.exceptions import StopRequested

from warmer.runtime import Runtime
from warmer_workers.signals import SignalPipe
from warmer_workers.work_horse import WorkHorse, give_back_claims
from warmer_workers.work_horse_child import OBEYED

logger = logging.getLogger("warmer.worker")

KILL_AFTER_S = 1.0
"""A drain gives back when the grace is over; this long later its process is killed."""

LEAVE_AFTER_S = 2.0
"""This long after the grace the worker ends, even if Redis does not answer its last words."""

FAREWELL_S = 1.0
"""How long a worker that leaves at once tries to give back what it had claimed."""


class Shutdown:
    """Obeys the signals of a worker process, in a thread of its own.

    Args:
        runtime: Of the worker.
        is_supervised: Whether a supervisor passes signals on, so that one which everybody got comes twice: then only
            SIGQUIT means "at once".

    Example:
        >>> from warmer.settings import Settings
        >>> Shutdown(Runtime(Settings(redis_url="redis://localhost"))).is_set()
        False

    Attributes:
        runtime: Of the worker; another one, once its modules have configured that.
    """

    def __init__(self, runtime: Runtime, *, is_supervised: bool = False) -> None:
        """Prepare; `listening` begins."""
        self.exit_code = 0
        self.runtime = runtime
        self._is_supervised = is_supervised
        self._bell = SignalPipe()
        self._lock = threading.Lock()
        self._horse: WorkHorse | None = None
        self._is_told = False
        self._is_deferred = False
        self._has_interrupted = False
        self._kill_at_s = math.inf
        self._leave_at_s = math.inf

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Obey signals from here on; in this block they interrupt the main thread, too.

        Raises:
            StopRequested: in the block, wherever the main thread is, at the first signal.
        """
        try:
            with self.deferred():
                self.set_handlers()
                threading.Thread(target=self._obey_signals, name="warmer-stopping", daemon=True).start()
            yield
        finally:
            self._is_deferred = True  # the process is about to end by itself

    def set_handlers(self) -> None:
        """Take signals; again, where foreign code may have set handlers of its own."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # or nobody could say how a drain's process ended
        self._bell.ring_at(OBEYED, self._interrupt)

    def is_set(self) -> bool:
        """Say whether the worker has been told to stop."""
        return self._is_told

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Have this block run to its end; it is told to stop by other means.

        Raises:
            StopRequested: at the end of the block, if the worker was told to stop.
        """
        self._is_deferred = True
        try:
            yield
        finally:
            self._is_deferred = False
        if self._is_told:
            self._has_interrupted = True
            raise StopRequested

    def attend(self, horse: WorkHorse) -> None:
        """Tell this process, too, when the worker is told.

        Args:
            horse: A drain's process that has just begun.
        """
        with self._lock:
            self._horse = horse
            is_told = self._is_told
        if is_told:
            horse.tell_to_stop()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Wake the main thread from whatever it waits for; it may hold any lock, so nothing else is done here."""
        self._is_told = True
        if not self._is_deferred and not self._has_interrupted:
            self._has_interrupted = True
            raise StopRequested

    def _obey_signals(self) -> None:
        while True:
            timeout_s = min(self._kill_at_s, self._leave_at_s) - time.monotonic()
            for number in self._bell.heard(None if math.isinf(timeout_s) else max(0.0, timeout_s)):
                if number in OBEYED:
                    self._obey(signal.Signals(number))
            self._keep_time(time.monotonic())

    def _obey(self, number: signal.Signals) -> None:
        if number == signal.SIGQUIT or (not math.isinf(self._leave_at_s) and not self._is_supervised):
            logger.warning("%s: leaving at once; what is being computed here is computed elsewhere", number.name)
            self._leave(128 + number)
        elif math.isinf(self._leave_at_s):
            self._tell(number)

    def _tell(self, number: signal.Signals) -> None:
        grace_s = self.runtime.settings.shutdown_grace_s if self._is_deferred else 0.0
        self._kill_at_s = time.monotonic() + grace_s + KILL_AFTER_S
        self._leave_at_s = time.monotonic() + grace_s + LEAVE_AFTER_S
        with self._lock:
            self._is_told = True
            horse = self._horse
        if horse is not None and not horse.ended.is_set():
            logger.info("%s: what is being computed has %g s to end; a second signal ends it", number.name, grace_s)
            horse.tell_to_stop()

    def _keep_time(self, now_s: float) -> None:
        if now_s >= self._kill_at_s:
            self._kill_at_s = math.inf
            if self._horse is not None and not self._horse.ended.is_set():
                logger.warning("a drain's process did not end in time, and is killed")
                self._horse.kill()
        if now_s >= self._leave_at_s:
            self._leave(os.EX_OK)

    def _leave(self, exit_code: int) -> None:
        """End this process whatever its main thread does, with a short attempt to give back what was claimed."""
        self.exit_code = exit_code
        try:
            if self._horse is not None:
                self._horse.kill()
            farewell = threading.Thread(target=self._say_farewell, name="warmer-farewell", daemon=True)
            farewell.start()
            farewell.join(FAREWELL_S)
        finally:
            os._exit(exit_code)

    def _say_farewell(self) -> None:
        if self._horse is not None:
            self._horse.ended.wait()
            if not self._horse.has_ended_well:
                give_back_claims(self.runtime, self._horse.life)
        self.runtime.worker_heartbeat.end()
