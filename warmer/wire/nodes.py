"""The servers that reads are sent to: which one holds a key, how to reach it, and whether it is away."""

import threading

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from warmer.connect.address import Address, Server
from warmer.connect.topology import Topology
from warmer.wire.breaker import Breaker
from warmer.wire.discovery import Discovery
from warmer.wire.endpoint import Endpoint
from warmer.wire.pipeline import LoopConnections
from warmer.wire.pool import Pool


class Node:
    """One server, its connections and its state.

    Args:
        route: The way to it.
        survey: Knows whether it still holds keys.
    """

    __slots__ = ("_survey", "breaker", "lanes", "pool", "server", "wide_lanes")

    def __init__(self, route: Endpoint, survey: Discovery) -> None:
        """Start with nothing held against it."""
        self.server = route.server
        self.breaker = Breaker()
        self.pool = Pool(route)
        self.lanes = LoopConnections(route, self.check)
        self.wide_lanes = LoopConnections(
            route, self.check
        )  # so that reads of one key do not queue behind those of a thousand
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

    def start_afresh(self) -> None:
        """Let go of all connections, and hold nothing against the server: in a forked child."""
        self.breaker = Breaker()
        self.pool.start_afresh()
        self.lanes.start_afresh()
        self.wide_lanes.start_afresh()

    def close(self) -> None:
        """Close the connections, but for those that threads read from just now."""
        self.pool.close()
        self.lanes.close()
        self.wide_lanes.close()


class Nodes:
    """All servers that hold keys.

    Args:
        address: Where Redis is.
        topology: Says which server holds a key.
        timeout_s: How long a read may take.
    """

    def __init__(self, address: Address, topology: Topology, timeout_s: float) -> None:
        """Ask nobody yet."""
        self._address = address
        self._topology = topology
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._nodes: dict[Server, Node] = {}
        self._tls = address.ssl_context()
        self.survey = Discovery(topology, address.kind == "standalone", self._forget_left_ones)
        self.only = self.of(address.servers[0]) if address.kind == "standalone" else None

    def start_afresh(self) -> None:
        """Let go of all connections, and hold nothing against any server: in a forked child."""
        self._lock = threading.Lock()
        self.survey.start_afresh()
        for node in self._nodes.values():
            node.start_afresh()

    def close(self) -> None:
        """Close all connections, but for those that threads read from just now."""
        for node in list(self._nodes.values()):
            node.close()

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
            redis.RedisError: nobody is known to hold it.
        """
        return self.only or self.of(self.server_of(name))

    def server_of(self, name: bytes) -> Server:
        """Return the server that holds a key; if nobody is known to, that is looked into, for later reads.

        Args:
            name: The key as Redis knows it.

        Raises:
            redis.RedisError: nobody is known to hold it.
        """
        try:
            return self._topology.node_of(name)
        except RedisError:
            self.survey.look_again()
            raise

    def _opened(self) -> None:
        """Take note of a new connection: what ended the old one may have been that another server took over."""
        if self._address.kind == "sentinel":
            self.survey.look_again()

    def _made(self, server: Server) -> Node:
        with self._lock:
            if server not in self._nodes:
                route = Endpoint(server, self._address, self._tls, self._timeout_s, self._opened)
                self._nodes[server] = Node(route, self.survey)
            return self._nodes[server]

    def _forget_left_ones(self) -> None:
        in_use = set(self._topology.nodes())
        with self._lock:
            left = [self._nodes.pop(server) for server in list(self._nodes) if server not in in_use]
        for node in left:
            node.close()
