"""Self-pipe for signals: they arrive as bytes, so that a thread handles them, which may take locks and wait."""

import os
import select
import signal
from collections.abc import Callable, Collection
from types import FrameType

MAX_BYTES = 64


class SignalPipe:
    """Receives signals, even while the main thread is busy outside of Python."""

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)

    def listen(self, numbers: Collection[int], handler: Callable[[int, FrameType | None], None]) -> None:
        """Receive these signals from now on; only the main thread may call this.

        Args:
            numbers: The signals.
            handler: Also called in the main thread, at each signal.
        """
        signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, handler)

    def received(self, timeout_s: float | None) -> bytes:
        """Wait for a signal.

        Args:
            timeout_s: The longest time to wait, in seconds; None for no limit.

        Returns:
            The numbers of the signals, in the order of their arrival; empty if none arrived in time.
        """
        readable, _, _ = select.select([self._read_end], [], [], timeout_s)
        return os.read(self._read_end, MAX_BYTES) if readable else b""

    def close(self) -> None:
        """Close the pipe; its signals must have other handlers by then."""
        os.close(self._read_end)
        os.close(self._write_end)


def ignore_signal(number: int, frame: FrameType | None) -> None:
    """Do nothing: the byte on the pipe is enough."""
