"""Heartbeat of a worker process: keeps its name among the live workers of the fleet."""

import contextlib
import threading
from collections.abc import Callable

from redis.exceptions import RedisError

from warmer.fork import ForkSafe, at_exit
from warmer.store import Store


class WorkerHeartbeat(ForkSafe):
    """Reports that a worker lives, if this process is one; a forked child is not.

    Args:
        store: Holds the live workers.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        super().__init__()

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()
        self._worker: str | None = None
        self._take_back_exit: Callable[[], object] = lambda: None

    def begin(self, worker: str) -> None:
        """Report that the worker of this name lives, until `end` or the end of the process."""
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
        """Report that the worker has stopped, while the process may go on; during an outage its name expires."""
        self._take_back_exit()
        with self._lock:  # otherwise a concurrent beat could add the name again
            worker, self._worker = self._worker, None
            if worker is not None:
                with contextlib.suppress(RedisError):
                    self._store.fleet.worker_gone(worker)
