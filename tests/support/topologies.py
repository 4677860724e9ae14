"""Starts Clusters and Sentinels for the tests; none of their processes outlives the one that started them."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from warmer.processes import supervise

HOST = "127.0.0.1"
SERVICE = "orders"
START_LIMIT_S = 20.0
SLOTS = 16384


class Process:
    """One server, that ends with this process even when nobody ends it.

    Args:
        binary: The server's program.
        arguments: Its arguments but the port and the folder.
        configuration: Lines of a configuration file that it may write; none when "".
    """

    def __init__(self, binary: Path, arguments: Sequence[str], configuration: str = "") -> None:
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="warmer-topology-"))
        files = []
        if configuration:
            files = [str(self.directory / "server.conf")]
            Path(files[0]).write_text(configuration)
        listening = ["--bind", HOST, "--port", str(self.port), "--dir", str(self.directory)]
        self._log = (self.directory / "log").open("wb")
        self._supervisor = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", supervise.__file__, str(os.getpid()), str(self.directory)),
                *(str(binary.absolute()), *files, *listening, *arguments),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            bufsize=0,
            process_group=0,
        )
        with self._supervisor.stdout as answer:
            self.pid = int(answer.readline() or 0)

    @property
    def is_running(self) -> bool:
        return self._supervisor.poll() is None

    def ask(self, *command: Any) -> Any:
        with Redis(
            host=HOST, port=self.port, protocol=2, socket_timeout=5, retry=Retry(NoBackoff(), 0), decode_responses=True
        ) as client:
            return client.execute_command(*command)

    def answers(self, condition: Callable[[Self], Any]) -> bool:
        """Say whether a condition holds; it does not while the server does not answer."""
        try:
            return bool(condition(self))
        except RedisError:
            return False

    def kill(self) -> None:
        """Kill it as a crash would, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._supervisor.wait(10)

    def end(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._supervisor.stdin.write(b".")
        self._supervisor.stdin.close()
        self._supervisor.wait(10)
        self._log.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class Topology:
    """Servers that belong together."""

    def __init__(self, binary: Path) -> None:
        self.binary = binary
        self.processes: list[Process] = []

    def launch(self, *arguments: str, configuration: str = "") -> Process:
        """Start a server and wait until it answers, again if another process took one of its ports."""
        in_memory = [] if configuration else ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"]
        for _ in range(5):
            process = Process(self.binary, [*in_memory, *arguments], configuration)
            wait_for(lambda started=process: not started.is_running or started.answers(lambda it: it.ask("PING")))
            if process.is_running:
                self.processes.append(process)
                return process
            process.end()
        raise AssertionError(f"{self.binary} does not start with {arguments}")

    def end(self) -> None:
        for process in self.processes:
            process.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class Cluster(Topology):
    """A Redis Cluster of three masters."""

    @classmethod
    def start(cls, binary: Path, *further_arguments: str) -> Self:
        started = cls(binary)
        try:
            started._start(further_arguments)
        except BaseException:
            started.end()
            raise
        return started

    def _start(self, further_arguments: Sequence[str]) -> None:
        for epoch in (1, 2, 3):
            process = self.launch(
                *("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "1500"),
                *("--cluster-port", str(free_port()), *further_arguments),
            )
            process.ask("CLUSTER", "SET-CONFIG-EPOCH", epoch)
            process.ask("CLUSTER", "ADDSLOTSRANGE", SLOTS * (epoch - 1) // 3, SLOTS * epoch // 3 - 1)
        first, *others = self.processes
        bus_port = int(first.ask("CONFIG", "GET", "cluster-port")[1])
        for other in others:
            other.ask("CLUSTER", "MEET", HOST, first.port, bus_port)
        for process in self.processes:
            wait_for(lambda member=process: member.answers(_is_joined))

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"{HOST}:{process.port}" for process in self.processes)

    def process_at(self, port: int) -> Process:
        return next(process for process in self.processes if process.port == port)

    def move_slot(self, slot: int, to: Process) -> None:
        """Give an empty slot to another master."""
        new_id = to.ask("CLUSTER", "MYID")
        for process in (to, *self.processes):
            process.ask("CLUSTER", "SETSLOT", slot, "NODE", new_id)

    @contextlib.contextmanager
    def moving_slot(self, slot: int, away_from: Process, to: Process) -> Iterator[None]:
        """Hold a slot half-way to another master: keys that are not there yet are asked for with ASK."""
        to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", away_from.ask("CLUSTER", "MYID"))
        away_from.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", to.ask("CLUSTER", "MYID"))
        try:
            yield
        finally:
            for process in (to, away_from):
                process.ask("CLUSTER", "SETSLOT", slot, "STABLE")


class Sentinels(Topology):
    """One master, two replicas, and three Sentinels that watch them."""

    @classmethod
    def start(cls, binary: Path) -> Self:
        started = cls(binary)
        try:
            started._start()
        except BaseException:
            started.end()
            raise
        return started

    def _start(self) -> None:
        master = self.launch()
        self.servers = [master, *(self._replica_of(master) for _ in range(2))]
        for replica in self.servers[1:]:
            wait_for(lambda it=replica: it.answers(_is_linked))
        self.sentinels = [self._watching(master) for _ in range(3)]
        for sentinel in self.sentinels:
            wait_for(lambda it=sentinel: it.answers(_knows_all))

    def _replica_of(self, master: Process) -> Process:
        return self.launch("--replicaof", f"{HOST} {master.port}", "--repl-ping-replica-period", "1")

    def _watching(self, master: Process) -> Process:
        return self.launch(
            "--sentinel",
            configuration=f"sentinel monitor {SERVICE} {HOST} {master.port} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} 500\n"
            f"sentinel failover-timeout {SERVICE} 3000\n",
        )

    @property
    def url(self) -> str:
        hosts = ",".join(f"{HOST}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    def master(self) -> Process:
        """Return the master that the Sentinels name."""
        _, port = self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return next(server for server in self.servers if server.port == int(port))

    def kill_master(self) -> Process:
        """Kill the master, and return it; a replica takes over some seconds later."""
        master = self.master()
        master.kill()
        return master


def wait_for(condition: Callable[[], Any]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + START_LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"did not happen within {START_LIMIT_S} s"
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _is_linked(replica: Process) -> bool:
    return bool(replica.ask("INFO", "replication")["master_link_status"] == "up")


def _is_joined(member: Process) -> bool:
    said = str(member.ask("CLUSTER", "INFO"))
    return "cluster_state:ok" in said and "cluster_known_nodes:3" in said and "cluster_slots_ok:16384" in said


def _knows_all(sentinel: Process) -> bool:
    state = sentinel.ask("SENTINEL MASTER", SERVICE)
    return state["num-slaves"] == 2 and state["num-other-sentinels"] == 2
