"""Keeps leases and claims alive while their computations run."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from warmer import forking
from warmer.errors import described

logger = logging.getLogger("warmer.renewal")


class Renewer:
    """One thread that renews whatever is held, three times per time-out.

    Args:
        interval_s: Seconds between two renewals of the same thing.
    """

    def __init__(self, interval_s: float) -> None:
        """Start idle; the thread runs only once something is held."""
        self._interval_s = interval_s
        self._start_afresh()
        self._fork_hook = forking.in_child(self._start_afresh)

    def _start_afresh(self) -> None:
        self._wake = threading.Condition()
        self._held: dict[object, Callable[[], object]] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def holding(self, renew: Callable[[], object]) -> Iterator[None]:
        """Call `renew` again and again for as long as the block runs.

        Args:
            renew: Extends what is held. A failure is logged and tried again; what is lost meanwhile is
                noticed when the holder writes, because its token no longer matches.
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
                while not self._held:
                    self._wake.wait()
            pause.wait(self._interval_s)
            with self._wake:
                held = list(self._held.values())
            for renew in held:
                _try(renew)


def _try(renew: Callable[[], object]) -> None:
    try:
        renew()
    except Exception as error:  # the others' turn comes all the same
        logger.warning("could not renew: %s", described(error))
