"""A gate at which computations are held, so that a test decides what happens meanwhile."""

import asyncio
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

from warmer.errors import WaitTimeoutError


class Gate:
    """Holds whoever comes, until it is opened; made by `Recorder.held`.

    Args:
        timeout_s: How long it holds anyone at most, so that no test hangs for ever.

    Example:
        >>> gate = Gate(timeout_s=1.0)
        >>> gate.open()
        >>> gate.hold()
        >>> gate.arrived
        1
    """

    def __init__(self, timeout_s: float) -> None:
        """Start closed."""
        self._timeout_s = timeout_s
        self._opening: Future[None] = Future()
        self._changed = threading.Condition()
        self._arrived = 0

    @property
    def arrived(self) -> int:
        """How many have come so far."""
        return self._arrived

    def open(self) -> None:
        """Let all pass, those that wait and those to come.

        Example:
            >>> gate = Gate(timeout_s=1.0)
            >>> gate.open()
        """
        with self._changed:
            if not self._opening.done():
                self._opening.set_result(None)

    def hold(self) -> None:
        """Hold this thread until the gate is opened.

        Raises:
            WaitTimeoutError: nobody opened it in time.
        """
        self._arrive()
        try:
            self._opening.result(self._timeout_s)
        except FutureTimeoutError:
            raise self._held_in_vain() from None

    async def ahold(self) -> None:
        """Hold this coroutine, without blocking its event loop.

        Raises:
            WaitTimeoutError: nobody opened the gate in time.
        """
        self._arrive()
        try:
            async with asyncio.timeout(self._timeout_s):
                await asyncio.shield(asyncio.wrap_future(self._opening))
        except TimeoutError:
            raise self._held_in_vain() from None

    def wait_for(self, arrivals: int = 1, timeout_s: float = 5.0) -> None:
        """Wait until so many have come.

        Args:
            arrivals: How many.
            timeout_s: How long to wait at most.

        Raises:
            WaitTimeoutError: fewer have come in time.

        Example:
            >>> from threading import Thread
            >>> gate = Gate(timeout_s=1.0)
            >>> Thread(target=gate.hold).start()
            >>> gate.wait_for(1)
            >>> gate.open()
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._arrived >= arrivals, timeout_s):
                raise WaitTimeoutError(
                    f"expected {arrivals} computations to begin within {timeout_s:g} s, got {self._arrived}; are they "
                    "started in other threads or tasks, and not answered from the cache?"
                )

    async def await_for(self, arrivals: int = 1, timeout_s: float = 5.0) -> None:
        """As `wait_for`, beside an event loop."""
        await asyncio.to_thread(self.wait_for, arrivals, timeout_s)

    def _arrive(self) -> None:
        with self._changed:
            self._arrived += 1
            self._changed.notify_all()

    def _held_in_vain(self) -> WaitTimeoutError:
        return WaitTimeoutError(
            f"a computation was held for {self._timeout_s:g} s and nobody let it pass; inside `with recorder.held()`, "
            "start it in another thread or task than the one that leaves the block"
        )
