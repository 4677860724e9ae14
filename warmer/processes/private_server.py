"""Private Redis server of this process, for the embedded default, development and tests.

    this process ---- pipe ----> supervise.py ---- child ----> redis-server or valkey-server

Its supervisor kills the server as soon as this process ends, even by SIGKILL. The server listens only on the loopback
address and keeps its data only in memory.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

from warmer.errors import StoreUnavailableError
from warmer.processes.server_binary import find_server_binary

HOST = "127.0.0.1"
MAX_START_S = 10.0
MAX_STOP_S = 5.0
MAX_LOG_LINES = 8

_SUPERVISOR = Path(__file__).with_name("supervise.py")


class PrivateServer:
    """A Redis or Valkey server on a free loopback port, without persistence.

    It ends with `stop`, with the ``with`` block, or with this process. Forked children may use it but cannot stop it.

    Attributes:
        binary: Path of the program.

    Example:
        >>> with PrivateServer.start() as server:
        ...     server.url == f"redis://127.0.0.1:{server.port}/0"
        True
    """

    def __init__(self, binary: Path, args: Sequence[str]) -> None:
        """Start this binary; `start` also finds one."""
        self.binary = binary
        self._args = tuple(args)
        self._owner_pid = os.getpid()
        self._lock = threading.RLock()
        self._run = self._launch(_free_port)

    @classmethod
    def start(cls, binary: Path | None = None, *, args: Sequence[str] = ()) -> Self:
        """Start a server and wait until it answers.

        Args:
            binary: Path of the program; None for that of `find_server_binary`.
            args: Further arguments for the server, such as ``("--maxmemory", "64mb")``.

        Raises:
            ServerNotFoundError: no server was found.
            StoreUnavailableError: it did not answer within 10 s; the message ends with its last log lines.

        Example:
            >>> server = PrivateServer.start(args=("--maxmemory", "64mb"))
            >>> server.stop()
        """
        return cls(binary or find_server_binary(), args)

    @property
    def port(self) -> int:
        """The TCP port, on 127.0.0.1."""
        return self._run.port

    @property
    def url(self) -> str:
        """The server's address, as ``redis://127.0.0.1:PORT/0``."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def pid(self) -> int:
        """The process id of the server itself."""
        return self._run.pid

    @property
    def directory(self) -> Path:
        """The server's folder, which is removed when the server ends."""
        return self._run.directory

    def stop(self) -> None:
        """End the server and remove its folder; does nothing the second time, or in a forked child."""
        if os.getpid() != self._owner_pid:
            return
        with self._lock:
            self._run.end()

    def kill(self) -> None:
        """Kill the server as in a crash and wait until it has ended; for tests."""
        with self._lock:
            self._run.kill()

    def restart_empty(self) -> None:
        """Restart the server on the same port without its data; for tests.

        Raises:
            StoreUnavailableError: it did not answer within 10 s.
        """
        with self._lock:
            port = self.port
            self._run.end()
            self._run = self._launch(lambda: port)

    def __enter__(self) -> Self:
        """Return this running server."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.stop()

    def _launch(self, pick_port: Callable[[], int]) -> "_ServerRun":
        """Start the server until it answers; try again while another process uses the port."""
        deadline_s = time.monotonic() + MAX_START_S
        while True:
            run = _ServerRun(self.binary, pick_port(), self._args)
            try:
                run.wait_until_ready(deadline_s)
            except _PortTakenError:
                run.end()
                time.sleep(0.05)
            except BaseException:
                run.end()
                raise
            else:
                return run


class _PortTakenError(Exception):
    """Another process uses the port."""


class _ServerRun:
    """One run of a server: its folder, its log and its supervisor."""

    def __init__(self, binary: Path, port: int, args: Sequence[str]) -> None:
        self.port = port
        self._binary = binary
        self.directory = Path(tempfile.mkdtemp(prefix="warmer-redis-"))
        try:
            # Kept open, so that it can be read even after the supervisor has removed the folder.
            self._log = (self.directory / "server.log").open("a+b", buffering=0)
            self._supervisor = _start_supervisor(
                _command(binary, port, self.directory, args), self.directory, self._log
            )
        except BaseException:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise
        self._lifeline = cast(IO[bytes], self._supervisor.stdin)
        with cast(IO[bytes], self._supervisor.stdout) as answer:
            self.pid = int(answer.readline() or 0)

    def wait_until_ready(self, deadline_s: float) -> None:
        """Wait until the server answers.

        Args:
            deadline_s: On the monotonic clock.

        Raises:
            _PortTakenError: another process uses the port, and the deadline has not passed.
            StoreUnavailableError: the server ended, or the deadline has passed.
        """
        while not _answers(self.port, self.pid):
            in_time = time.monotonic() < deadline_s
            has_ended = self._supervisor.poll() is not None
            if in_time and has_ended and "ddress already in use" in self._last_log_lines():
                raise _PortTakenError
            if has_ended or not in_time:
                outcome = "ended while starting" if has_ended else f"did not answer within {MAX_START_S:.0f} s"
                raise StoreUnavailableError(f"{self._binary} {outcome}; its log ends with:\n{self._last_log_lines()}")
            time.sleep(0.005)

    def kill(self) -> None:
        """Kill the server and wait until its supervisor has ended."""
        if self.pid and self._supervisor.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self._wait_for_supervisor()

    def end(self) -> None:
        """Let the supervisor kill the server, and clean up; does nothing the second time."""
        if self._lifeline.closed:
            return
        # A byte is needed, because a forked child may hold a copy of the pipe, which then does not end.
        with contextlib.suppress(BrokenPipeError):
            self._lifeline.write(b".")
        self._lifeline.close()
        self._wait_for_supervisor()
        self._log.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _wait_for_supervisor(self) -> None:
        try:
            self._supervisor.wait(MAX_STOP_S)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()

    def _last_log_lines(self) -> str:
        # pread, because the server writes through the same open file: a read must not move its position.
        size = os.fstat(self._log.fileno()).st_size
        tail = os.pread(self._log.fileno(), 4096, max(0, size - 4096)).decode(errors="replace")
        return "\n".join(tail.splitlines()[-MAX_LOG_LINES:])


def _command(binary: Path, port: int, directory: Path, args: Sequence[str]) -> list[str]:
    listening = ["--bind", HOST, "--port", str(port)]
    in_memory = ["--dir", str(directory), "--save", "", "--appendonly", "no"]
    return [str(binary.absolute()), *listening, *in_memory, *args]


def _start_supervisor(command: list[str], directory: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start the supervisor of a server.

    Popen's pipes are not inherited by other programs; for forked children see supervise.py. In its own process group
    the server gets no Ctrl-C, so that this process can still finish its work.
    """
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(_SUPERVISOR), str(os.getpid()), str(directory), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        cwd="/",
        bufsize=0,
        process_group=0,
    )


def _answers(port: int, pid: int) -> bool:
    """Whether the process with this pid answers on the port, and not another one."""
    try:
        with socket.create_connection((HOST, port), timeout=1.0) as connection:
            connection.sendall(b"INFO server\r\nQUIT\r\n")
            reply = b"".join(iter(lambda: connection.recv(65536), b""))
    except OSError:
        return False
    # A server with a password does not report its pid.
    return b"process_id:%d\r\n" % pid in reply or reply.startswith(b"-NOAUTH")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
