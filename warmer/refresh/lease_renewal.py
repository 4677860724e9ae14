"""Keeps leases and claims alive while their computations run."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from warmer import fork
from warmer.errors import described

logger = logging.getLogger("warmer.refresh")

IDLE_S = 5.0
"""After so long with nothing to renew the thread ends; the next one who holds something starts another."""


class LeaseRenewer:
    """One thread that renews whatever is held, three times per time-out.

    Args:
        interval_s: Seconds between two renewals of the same thing.
    """

    def __init__(self, interval_s: float) -> None:
        """Start idle; the thread runs only once something is held."""
        self._interval_s = interval_s
        self._start_afresh()
        self._fork_hook = fork.in_child(self._start_afresh)

    def _start_afresh(self) -> None:
        self._wake = threading.Condition()
        self._held: dict[object, Callable[[], object]] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def holding(self, renew: Callable[[], object]) -> Iterator[None]:
        """Call `renew` again and again for as long as the block runs.

        Args:
            renew: Extends what is held; returns False when that is lost, which the holder notices when it writes,
                because its token no longer matches. A failure is logged and tried again.
        """
        handle = object()
        with self._wake:
            self._held[handle] = renew
            self._ensure_running()
        try:
            yield
        finally:
            with self._wake:
                self._held.pop(handle, None)  # in a child forked meanwhile: none

    def _ensure_running(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            self._wake.notify()
            return
        self._thread = threading.Thread(target=self._run, name="warmer-renewal", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # no more threads, or the interpreter is ending: it may lapse, and that is all
            self._thread = None
            logger.warning("nothing is renewed: %s", error)

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            with self._wake:
                if not self._held and not self._wake.wait(IDLE_S) and not self._held:
                    self._thread = None
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
