"""The servers that reads are sent to: which one holds a key, how to reach it, and whether it is away."""

import ssl
import threading
from collections.abc import Callable

from redis.exceptions import ConnectionError as RedisConnectionError

from warmer.address import Address, Server
from warmer.connect.topology import Topology
from warmer.wire.breaker import Breaker
from warmer.wire.pool import Pool
from warmer.wire.survey import Survey


class Node:
    """One server, its connections and its state.

    Args:
        server: Which server.
        pool: The connections of threads.
        survey: Knows whether the server still holds keys.
    """

    __slots__ = ("_survey", "breaker", "pool", "server")

    def __init__(self, server: Server, pool: Pool, survey: Survey) -> None:
        """Start with nothing held against it."""
        self.server = server
        self.pool = pool
        self.breaker = Breaker()
        self._survey = survey

    def __str__(self) -> str:
        return f"Redis at {self.server}"

    def check(self) -> None:
        """Refuse to ask a server that is away.

        Raises:
            redis.ConnectionError: it is.
        """
        if self.breaker.is_open:
            raise RedisConnectionError(f"Redis at {self.server} is away; reads do without it until it answers a probe")

    def probe(self) -> bool:
        """Find out whether the server is back, or another one has taken its place.

        Returns:
            False if another one has.

        Raises:
            redis.RedisError: neither.
        """
        if not self._survey.has_keys(self.server):
            return False
        self.pool.probe()
        return True


class Nodes:
    """All servers that hold keys.

    Args:
        address: Where Redis is.
        topology: Says which server holds a key.
        timeout_s: How long a read may take.
        left: Told of each server that holds none any more.
    """

    def __init__(self, address: Address, topology: Topology, timeout_s: float, left: Callable[[Node], None]) -> None:
        """Ask nobody yet."""
        self._address = address
        self._topology = topology
        self._timeout_s = timeout_s
        self._left = left
        self._lock = threading.Lock()
        self._nodes: dict[Server, Node] = {}
        self.tls: ssl.SSLContext | None = address.ssl_context()
        self.survey = Survey(topology, address.kind == "standalone", self._forget_left_ones)
        self.only = self.of(address.servers[0]) if address.kind == "standalone" else None

    def start_afresh(self) -> None:
        """Let go of all connections, and hold nothing against any server: in a forked child."""
        self._lock = threading.Lock()
        self.survey.start_afresh()
        for node in self._nodes.values():
            node.breaker = Breaker()
            node.pool.start_afresh()

    def close(self) -> None:
        """Close the idle connections of threads."""
        for node in list(self._nodes.values()):
            node.pool.close()

    def of(self, server: Server) -> Node:
        """Return what stands for a server.

        Args:
            server: Which one.
        """
        node = self._nodes.get(server)
        return node if node is not None else self._made(server)

    def holding(self, name: bytes) -> Node:
        """Return the node that holds a key.

        Args:
            name: The key as Redis knows it.

        Raises:
            redis.RedisError: nobody could tell.
        """
        return self.only or self.of(self._topology.node_of(name))

    def opened(self) -> None:
        """Take note of a new connection: what ended the old one may have been that another server took over."""
        if self._address.kind == "sentinel":
            self.survey.look_again()

    def _made(self, server: Server) -> Node:
        with self._lock:
            if server not in self._nodes:
                pool = Pool(server, self._address, self.tls, self._timeout_s, self.opened)
                self._nodes[server] = Node(server, pool, self.survey)
            return self._nodes[server]

    def _forget_left_ones(self) -> None:
        in_use = set(self._topology.nodes())
        with self._lock:
            left = [self._nodes.pop(server) for server in list(self._nodes) if server not in in_use]
        for node in left:
            node.pool.close()
            self._left(node)
