"""Signals as bytes on a pipe, so that a thread obeys them: it may take locks and wait, which a handler may not."""

import os
import select
import signal
from collections.abc import Callable, Collection
from types import FrameType

BYTES_AT_ONCE = 64


class SignalPipe:
    """Rings at signals, even while the main thread is busy outside of Python.

    Example:
        >>> bell = SignalPipe()
        >>> bell.heard(timeout_s=0)
        b''
        >>> bell.close()
    """

    def __init__(self) -> None:
        """Prepare; `ring_at` says at what."""
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)

    def ring_at(self, numbers: Collection[int], handler: Callable[[int, FrameType | None], None]) -> None:
        """Ring at these signals from here on. For the main thread alone.

        Args:
            numbers: Which signals.
            handler: What the main thread calls at each, too.
        """
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, handler)

    def heard(self, timeout_s: float | None) -> bytes:
        """Wait for a signal.

        Args:
            timeout_s: How long; None is for ever.

        Returns:
            The signals' numbers, in the order in which they came; nothing if none came in time.
        """
        readable, _, _ = select.select([self._reading], [], [], timeout_s)
        return os.read(self._reading, BYTES_AT_ONCE) if readable else b""

    def close(self) -> None:
        """Give the pipe back; it must not be told of signals any more."""
        os.close(self._reading)
        os.close(self._writing)


def no_interruption(number: int, frame: FrameType | None) -> None:
    """Handle a signal by doing nothing more than letting the bell ring."""
