"""The heartbeat of a worker: keeps its name among the live workers of the fleet."""

import contextlib
import threading
from collections.abc import Callable

from redis.exceptions import RedisError

from warmer.fork import ForkSafe, at_exit
from warmer.store import Store


class WorkerHeartbeat(ForkSafe):
    """Reports that a worker lives, if this process is one; a forked child is none.

    Args:
        store: With the live workers.
    """

    def __init__(self, store: Store) -> None:
        """Start without a worker."""
        self._store = store
        super().__init__()

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()
        self._worker: str | None = None
        self._take_back_exit: Callable[[], object] = lambda: None

    def begin(self, worker: str) -> None:
        """Report from now on that this worker lives, until `end` or the end of the process.

        Args:
            worker: Its name.
        """
        self._worker = worker
        self._take_back_exit = at_exit(self.end)

    def beat(self) -> None:
        """Report that the worker lives.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        with self._lock:
            if self._worker is not None:
                self._store.fleet.worker_beat(self._worker)

    def end(self) -> None:
        """Report that the worker has stopped, though this process may go on; without Redis its name expires."""
        self._take_back_exit()
        with self._lock:  # or a beat that is under way would bring it back
            worker, self._worker = self._worker, None
            if worker is not None:
                with contextlib.suppress(RedisError):
                    self._store.fleet.worker_gone(worker)
