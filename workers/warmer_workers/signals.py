"""Signals as bytes on a pipe, so that a thread handles them: it may take locks and wait, which a handler may not."""

import os
import select
import signal
from collections.abc import Callable, Collection
from types import FrameType

MAX_BYTES = 64


class SignalPipe:
    """Receives signals, even while the main thread is busy outside of Python.

    Example:
        >>> pipe = SignalPipe()
        >>> pipe.received(timeout_s=0)
        b''
        >>> pipe.close()
    """

    def __init__(self) -> None:
        """Prepare; `listen` says to which signals."""
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)

    def listen(self, numbers: Collection[int], handler: Callable[[int, FrameType | None], None]) -> None:
        """Receive these signals from now on. Only for the main thread.

        Args:
            numbers: Which signals.
            handler: The main thread calls it at each signal, too.
        """
        signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, handler)

    def received(self, timeout_s: float | None) -> bytes:
        """Wait for a signal.

        Args:
            timeout_s: How long; None is for ever.

        Returns:
            The signals' numbers, in the order in which they came; nothing if none came in time.
        """
        readable, _, _ = select.select([self._read_end], [], [], timeout_s)
        return os.read(self._read_end, MAX_BYTES) if readable else b""

    def close(self) -> None:
        """Close the pipe; no signal may be sent to it any more."""
        os.close(self._read_end)
        os.close(self._write_end)


def ignore_signal(number: int, frame: FrameType | None) -> None:
    """Handle a signal by nothing but its byte on the pipe."""
