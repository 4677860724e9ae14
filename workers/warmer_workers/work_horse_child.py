"""Child side of a drain's process: stops at SIGTERM, and dies with its parent."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from warmer_workers.signals import SignalPipe, ignore_signal

PARENT_CHECK_INTERVAL_S = 0.5
PR_SET_PDEATHSIG = 1

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Block signals in this thread, and in a process forked in the block until it calls `guard_child`.

    Otherwise a new process would handle its first signal with its parent's handlers.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def guard_child(parent_pid: int) -> threading.Event:
    """Guard this forked process: it stops at SIGTERM, ignores Ctrl-C, and dies with its parent.

    Args:
        parent_pid: The process id of the parent.

    Returns:
        An event that is set when this process must stop.
    """
    stop, pipe = threading.Event(), SignalPipe()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    pipe.listen([signal.SIGTERM], ignore_signal)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    _die_with_parent()
    threading.Thread(target=_guard, args=(pipe, stop, parent_pid), name="warmer-child-guard", daemon=True).start()
    return stop


def _guard(pipe: SignalPipe, stop: threading.Event, parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        if signal.SIGTERM in pipe.received(PARENT_CHECK_INTERVAL_S):
            stop.set()
    os._exit(1)  # no parent watches this process any more; its claims expire


def _die_with_parent() -> None:
    """Have Linux kill this process with its parent, also while a task holds the interpreter and no thread runs."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
