"""The shutdown of a worker process: it is told by a signal, and ends in time, whatever its drain, RQ or Redis do.

The first SIGTERM or SIGINT: nothing more is claimed; computations that have begun may go on for `shutdown_grace_s`, and
their claims are given back then. A drain's process that lives on after that is killed, and a worker that has still not
ended is left as it is.
The second one, or SIGQUIT at any time: the worker exits at once. In either case nothing is lost: what was claimed is
given back or lapses, and is computed elsewhere.

Exit codes: 0 after the first; 128 and the signal's number (143 for SIGTERM, 130 for SIGINT) after an exit at once.
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
from warmer_workers.work_horse_child import STOP_SIGNALS

logger = logging.getLogger("warmer.worker")

KILL_AFTER_GRACE_S = 1.0
"""A drain gives back when the grace is over; so long after that its process is killed."""

EXIT_AFTER_GRACE_S = 2.0
"""So long after the grace the worker exits, even if Redis does not answer its last commands."""

MAX_GIVE_BACK_S = 1.0
"""How long a worker that exits at once tries to give back what it had claimed."""


class Shutdown:
    """Handles the signals of a worker process, in a thread of its own.

    Args:
        runtime: Of the worker.
        is_supervised: Whether a supervisor passes signals on, so that one which every process got comes twice: then
            only SIGQUIT means "at once".

    Attributes:
        runtime: Of the worker; another one, once its modules have configured that.
        exit_code: What the process exits with.

    Example:
        >>> from warmer.settings import Settings
        >>> Shutdown(Runtime(Settings(redis_url="redis://localhost"))).is_set()
        False
    """

    def __init__(self, runtime: Runtime, *, is_supervised: bool = False) -> None:
        """Prepare; `listening` begins."""
        self.exit_code = os.EX_OK
        self.runtime = runtime
        self._is_supervised = is_supervised
        self._pipe = SignalPipe()
        self._lock = threading.Lock()
        self._horse: WorkHorse | None = None
        self._is_requested = False
        self._is_deferred = False
        self._has_interrupted = False
        self._kill_at_s = math.inf
        self._exit_at_s = math.inf

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle signals from here on; in this block they interrupt the main thread, too.

        Raises:
            StopRequested: in the block, wherever the main thread is, at the first signal.
        """
        try:
            with self.deferred():
                self.set_handlers()
                threading.Thread(target=self._handle_signals, name="warmer-shutdown", daemon=True).start()
            yield
        finally:
            self._is_deferred = True  # the process is about to end by itself

    def set_handlers(self) -> None:
        """Set the handlers of signals; again, where foreign code may have set its own."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # or nobody could tell how a drain's process ended
        self._pipe.listen(STOP_SIGNALS, self._interrupt)

    def is_set(self) -> bool:
        """Whether the worker has been told to stop."""
        return self._is_requested

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let this block run to its end; it is told to stop by other means.

        Raises:
            StopRequested: at the end of the block, if the worker was told to stop.
        """
        self._is_deferred = True
        try:
            yield
        finally:
            self._is_deferred = False
        if self._is_requested:
            self._has_interrupted = True
            raise StopRequested

    def pass_on_to(self, horse: WorkHorse) -> None:
        """Tell this process to stop when the worker is told, and kill it when its time is over.

        Args:
            horse: A drain's process that has just been forked.
        """
        with self._lock:
            self._horse = horse
            is_requested = self._is_requested
        if is_requested:
            horse.request_stop()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Wake the main thread from whatever it waits for; it may hold any lock, so nothing else is done here."""
        self._is_requested = True
        if not self._is_deferred and not self._has_interrupted:
            self._has_interrupted = True
            raise StopRequested

    def _handle_signals(self) -> None:
        while True:
            timeout_s = min(self._kill_at_s, self._exit_at_s) - time.monotonic()
            for number in self._pipe.received(None if math.isinf(timeout_s) else max(0.0, timeout_s)):
                if number in STOP_SIGNALS:
                    self._handle(signal.Signals(number))
            self._enforce_limits(time.monotonic())

    def _handle(self, number: signal.Signals) -> None:
        is_first = math.isinf(self._exit_at_s)
        if number == signal.SIGQUIT or (not is_first and not self._is_supervised):
            logger.warning("%s: exiting at once; what is being computed here is computed elsewhere", number.name)
            self._exit(128 + number)
        elif is_first:
            self._begin(number)

    def _begin(self, number: signal.Signals) -> None:
        grace_s = self.runtime.settings.shutdown_grace_s if self._is_deferred else 0.0
        self._kill_at_s = time.monotonic() + grace_s + KILL_AFTER_GRACE_S
        self._exit_at_s = time.monotonic() + grace_s + EXIT_AFTER_GRACE_S
        with self._lock:
            self._is_requested = True
            horse = self._horse
        if horse is not None and not horse.ended.is_set():
            logger.info("%s: what is being computed has %g s to end; a second signal ends it", number.name, grace_s)
            horse.request_stop()

    def _enforce_limits(self, now_s: float) -> None:
        if now_s >= self._kill_at_s:
            self._kill_at_s = math.inf
            if self._horse is not None and not self._horse.ended.is_set():
                logger.warning("a drain's process did not end in time, and is killed")
                self._horse.kill()
        if now_s >= self._exit_at_s:
            self._exit(os.EX_OK)

    def _exit(self, exit_code: int) -> None:
        """End this process whatever its main thread does, after a short attempt to give back what was claimed."""
        self.exit_code = exit_code
        try:
            if self._horse is not None:
                self._horse.kill()
            last_words = threading.Thread(target=self._give_back, name="warmer-give-back", daemon=True)
            last_words.start()
            last_words.join(MAX_GIVE_BACK_S)
        finally:
            os._exit(exit_code)

    def _give_back(self) -> None:
        if self._horse is not None:
            self._horse.ended.wait()
            if not self._horse.is_clean_exit:
                give_back_claims(self.runtime, self._horse.drain_id)
        self.runtime.worker_heartbeat.end()
