"""Gate for computations: it holds them, so that a test decides what happens while they run."""

import asyncio
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

from warmer.errors import WaitTimeoutError


class Gate:
    """Holds all callers until it is opened; made by `Recorder.held`.

    Args:
        timeout_s: The longest time it holds a caller, in seconds, so that no test hangs.

    Example:
        >>> from threading import Thread
        >>> gate = Gate(timeout_s=1.0)
        >>> Thread(target=gate.hold).start()
        >>> gate.wait_for(1)
        >>> gate.open()
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._opening: Future[None] = Future()
        self._changed = threading.Condition()
        self._arrived = 0

    @property
    def arrived(self) -> int:
        """Number of callers so far."""
        return self._arrived

    def open(self) -> None:
        """Let all callers pass, now and later."""
        with self._changed:
            if not self._opening.done():
                self._opening.set_result(None)

    def hold(self) -> None:
        """Hold this thread until the gate is opened.

        Raises:
            WaitTimeoutError: the gate was not opened in time.
        """
        self._arrive()
        try:
            self._opening.result(self._timeout_s)
        except FutureTimeoutError:
            raise self._timeout_error() from None

    async def ahold(self) -> None:
        """As `hold`, for coroutines: the event loop goes on."""
        self._arrive()
        try:
            async with asyncio.timeout(self._timeout_s):
                await asyncio.shield(asyncio.wrap_future(self._opening))
        except TimeoutError:
            raise self._timeout_error() from None

    def wait_for(self, arrivals: int = 1, timeout_s: float = 5.0) -> None:
        """Wait until this many callers have arrived.

        Args:
            arrivals: The number of callers.
            timeout_s: The longest time to wait, in seconds.

        Raises:
            WaitTimeoutError: fewer have arrived in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._arrived >= arrivals, timeout_s):
                raise WaitTimeoutError(
                    f"expected {arrivals} computations to begin within {timeout_s:g} s, got {self._arrived}; start "
                    "them in other threads or tasks, and check that their values are not cached yet"
                )

    async def await_for(self, arrivals: int = 1, timeout_s: float = 5.0) -> None:
        """As `wait_for`, for coroutines."""
        await asyncio.to_thread(self.wait_for, arrivals, timeout_s)

    def _arrive(self) -> None:
        with self._changed:
            self._arrived += 1
            self._changed.notify_all()

    def _timeout_error(self) -> WaitTimeoutError:
        return WaitTimeoutError(
            f"the gate held a computation for {self._timeout_s:g} s and was not opened; inside `with recorder.held()`, "
            "start the computation in another thread or task than the one that leaves the block"
        )
