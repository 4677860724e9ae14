"""Embedded warming: a scheduler and a worker in threads of this process, and a private server if none is configured."""

import atexit
import logging
import threading
from functools import partial

from warmer.errors import SettingsError
from warmer.processes.private_server import PrivateServer
from warmer.runtime import Runtime
from warmer.spawn import Spawn, start_thread

logger = logging.getLogger("warmer.client")

STOP_LIMIT_S = 5.0


class Embedded:
    """The scheduler thread, the worker thread and the private server of an application's process.

    Args:
        spawn: Starts the threads.
    """

    def __init__(self, spawn: Spawn = start_thread) -> None:
        """Start nothing yet."""
        self._spawn = spawn
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()
        self._server: PrivateServer | None = None

    def start_server(self) -> str:
        """Start a private server, which never outlives this process; returns its address.

        Raises:
            ServerNotFoundError: there is no server to start.
        """
        with self._lock:
            if self._server is None:
                self._server = PrivateServer.start()
                logger.info(
                    "private %s at %s; its data is gone with this process", self._server.binary.name, self._server.url
                )
            return self._server.url

    def stop_server(self) -> None:
        """Stop the private server, if one was started."""
        with self._lock:
            server, self._server = self._server, None
        if server is not None:
            server.stop()

    def start(self, runtime: Runtime) -> None:
        """Start the scheduler and the worker thread, unless they run.

        Args:
            runtime: Of this process.

        Raises:
            SettingsError: the packages for it are not installed.
        """
        try:
            from warmer_scheduler.main import run_in_thread as schedule
            from warmer_workers.main import run_in_thread as work
        except ImportError as error:
            raise SettingsError(
                f"embedded warming needs more packages ({error}): pip install 'warmer[embedded]'"
            ) from error
        with self._lock:
            if any(thread.is_alive() for thread in self._threads):
                return
            self._stop = threading.Event()
            self._threads = [
                self._spawn(name, partial(run, runtime, self._stop))
                for name, run in (("warmer-scheduler", schedule), ("warmer-worker", work))
            ]
        atexit.register(self.stop)

    def stop(self) -> None:
        """Stop both threads; what the worker computes at this moment is finished."""
        with self._lock:
            threads, self._threads = self._threads, []
            self._stop.set()
        for thread in threads:
            if thread.is_alive():
                thread.join(STOP_LIMIT_S)
        atexit.unregister(self.stop)
