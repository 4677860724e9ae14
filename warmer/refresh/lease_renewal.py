"""Lease renewal: keeps leases and claims alive while their computations run."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from warmer.errors import described
from warmer.fork import ForkSafe
from warmer.spawn import OnDemandThread, Spawn, start_thread

logger = logging.getLogger("warmer.refresh")

IDLE_S = 5.0
"""With nothing to renew for this time the thread ends; the next block starts another."""


class LeaseRenewer(ForkSafe):
    """One thread that renews all that is held, at one interval.

    Args:
        interval_s: Seconds between two renewals of the same thing.
        spawn: Starts the thread.
    """

    def __init__(self, interval_s: float, spawn: Spawn = start_thread) -> None:
        """Start idle; the thread runs only once something is held."""
        self._interval_s = interval_s
        self._spawn = spawn
        super().__init__()

    def _reset_after_fork(self) -> None:
        self._wake = threading.Condition()
        self._held: dict[object, Callable[[], object]] = {}
        self._thread = OnDemandThread("warmer-renewal", self._run, self._spawn)
        self._is_running = False

    @contextmanager
    def holding(self, renew: Callable[[], object]) -> Iterator[None]:
        """Call `renew` at each interval for as long as the block runs.

        Args:
            renew: Extends what is held; returns False when that is lost: then it is called no more, and the holder
                cannot write, as its token no longer matches. A failure is logged, and tried again.
        """
        handle = object()
        with self._wake:
            self._held[handle] = renew
            if not self._is_running:  # if it cannot be started the lease may lapse, and that is all
                self._is_running = self._thread.ensure_running()
            self._wake.notify()
        try:
            yield
        finally:
            with self._wake:
                self._held.pop(handle, None)  # in a child forked meanwhile: none

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            with self._wake:
                if not self._held and not self._wake.wait(IDLE_S) and not self._held:
                    self._thread.has_ended()
                    self._is_running = False
                    return
            pause.wait(self._interval_s)
            with self._wake:
                held = list(self._held.items())
            for handle, renew in held:
                if _try(renew) is False:
                    self._let_go(handle)

    def _let_go(self, handle: object) -> None:
        with self._wake:
            self._held.pop(handle, None)


def _try(renew: Callable[[], object]) -> object:
    try:
        return renew()
    except Exception as error:  # the others' turn comes all the same
        logger.warning("could not renew: %s", described(error))
        return None
