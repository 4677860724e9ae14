"""Graceful shutdown of a worker process: on a signal, within a time limit, even if its drain, RQ or Redis hangs.

After the first SIGTERM or SIGINT nothing more is claimed. Running computations may go on for `shutdown_grace_s`, then
their claims are given back. Soon after that a drain's process that still lives is killed, and the worker exits.
After a second one, or SIGQUIT at any time, the worker exits at once. In both cases no work is lost: claims are given
back or expire, and other workers compute their targets.

Exit codes: 0 after the first signal; 128 plus the signal's number (143 for SIGTERM, 130 for SIGINT) after an exit at
once.
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
"""Time after the grace until the drain's process is killed; it gives back its claims before."""

EXIT_AFTER_GRACE_S = 2.0
"""Time after the grace until the worker exits, even if Redis does not answer its last commands."""

MAX_GIVE_BACK_S = 1.0
"""Time limit for a worker that exits at once to give back its claims."""


class Shutdown:
    """Handles the signals of a worker process, in a thread of its own.

    Args:
        runtime: The worker's runtime.
        is_supervised: Whether a supervisor forwards signals. A signal to all processes then arrives twice, so only
            SIGQUIT means "at once".

    Attributes:
        runtime: The worker's runtime; it is replaced if a module of tasks configures another one.
        exit_code: The exit code of the process.
    """

    def __init__(self, runtime: Runtime, *, is_supervised: bool = False) -> None:
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
        """Start to handle signals; in the block the first signal also interrupts the main thread.

        Raises:
            StopRequested: a signal was received.
        """
        try:
            with self.deferred():
                self.set_handlers()
                threading.Thread(target=self._handle_signals, name="warmer-shutdown", daemon=True).start()
            yield
        finally:
            self._is_deferred = True  # the process is about to end by itself

    def set_handlers(self) -> None:
        """Set the handlers of signals; called again after code that may have set its own."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # otherwise the wait status of a drain's process may be lost
        self._pipe.listen(STOP_SIGNALS, self._interrupt)

    def is_set(self) -> bool:
        """Return whether the worker must stop."""
        return self._is_requested

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Run the block without an interruption by signals.

        Raises:
            StopRequested: at the end of the block, if a signal was received.
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
        """Stop this process when the worker must stop, and kill it after the grace.

        Args:
            horse: A drain's process, just forked.
        """
        with self._lock:
            self._horse = horse
            is_requested = self._is_requested
        if is_requested:
            horse.request_stop()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Interrupt a wait of the main thread; it may hold any lock, so nothing else is done here."""
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
            logger.warning("%s: exiting at once; other workers compute the targets of this one", number.name)
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
            logger.info("%s: running computations have %g s to end; a second signal ends them", number.name, grace_s)
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
        """Exit, whatever the main thread does, after a short attempt to give back the claims."""
        self.exit_code = exit_code
        try:
            if self._horse is not None:
                self._horse.kill()
            giving_back = threading.Thread(target=self._give_back, name="warmer-give-back", daemon=True)
            giving_back.start()
            giving_back.join(MAX_GIVE_BACK_S)
        finally:
            os._exit(exit_code)

    def _give_back(self) -> None:
        if self._horse is not None:
            self._horse.ended.wait()
            if not self._horse.is_clean_exit:
                give_back_claims(self.runtime, self._horse.drain_id)
        self.runtime.worker_heartbeat.end()
