"""FIFO semaphore for threads and tasks: it bounds the computations without a lease."""

import threading
from collections import deque
from concurrent.futures import Future


class FairSemaphore:
    """Semaphore whose waiters get their turn in the order in which they came.

    Args:
        count: How many at once.

    Example:
        >>> slots = FairSemaphore(1)
        >>> first, second = slots.acquire(), slots.acquire()
        >>> first.done(), second.done()
        (True, False)
        >>> slots.release(first)
        >>> second.done()
        True
    """

    def __init__(self, count: int) -> None:
        """Start with all of them free."""
        self._lock = threading.RLock()  # as that of `SingleFlight`
        self._free = count
        self._waiting: deque[Future[None]] = deque()

    def acquire(self) -> "Future[None]":
        """Return a turn, which is done as soon as it has come; `release` it in any case."""
        turn: Future[None] = Future()
        with self._lock:
            if self._free == 0:
                self._waiting.append(turn)
                return turn
            self._free -= 1
        turn.set_result(None)
        return turn

    def release(self, turn: "Future[None]") -> None:
        """End a turn, or wait for it no longer."""
        with self._lock:
            if turn in self._waiting:  # it has not come
                self._waiting.remove(turn)
                return
            if not self._waiting:
                self._free += 1
                return
            following = self._waiting.popleft()
        following.set_result(None)
