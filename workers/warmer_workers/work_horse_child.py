"""Ties a drain's process to its parent: it is told to stop by it, and never outlives it."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from warmer_workers.signals import SignalPipe, no_interruption

LOOK_FOR_PARENT_EVERY_S = 0.5
PR_SET_PDEATHSIG = 1

OBEYED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Hold signals back in this thread, and in a process forked in this block, until `guard_child` is called there.

    A new process would otherwise obey its first signal with its parent's handlers.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, OBEYED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def guard_child(parent_pid: int) -> threading.Event:
    """Tie this process, just forked in `signals_held_back`, to its parent.

    Args:
        parent_pid: The parent.

    Returns:
        What is set when this process is to stop, at SIGTERM. Ctrl-C is the parent's business.
    """
    stop, bell = threading.Event(), SignalPipe()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    bell.ring_at([signal.SIGTERM], no_interruption)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, OBEYED)
    _die_with_parent()
    threading.Thread(target=_hold, args=(bell, stop, parent_pid), name="warmer-tether", daemon=True).start()
    return stop


def _hold(bell: SignalPipe, stop: threading.Event, parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        if signal.SIGTERM in bell.heard(LOOK_FOR_PARENT_EVERY_S):
            stop.set()
    os._exit(1)  # nobody would know of this process, and its claims lapse


def _die_with_parent() -> None:
    """Let Linux kill this process with its parent: a task that holds the interpreter stops every thread, not this."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
