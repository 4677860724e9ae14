"""The servers that hold keys: one `Node` each, with its connections and its circuit breaker."""

import threading

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from warmer.connect.address import Address, Server
from warmer.connect.topology import Topology
from warmer.wire.breaker import Breaker
from warmer.wire.discovery import Discovery
from warmer.wire.endpoint import Endpoint
from warmer.wire.loop_connections import LoopConnections
from warmer.wire.pool import Pool


class Node:
    """One server.

    Args:
        endpoint: How to connect to it.
        discovery: Knows whether it still holds keys.
    """

    __slots__ = ("_discovery", "breaker", "get_connections", "mget_connections", "pool", "server")

    def __init__(self, endpoint: Endpoint, discovery: Discovery) -> None:
        """Start with no connection and a closed breaker."""
        self.server = endpoint.server
        self.breaker = Breaker()
        self.pool = Pool(endpoint)
        self.get_connections = LoopConnections(endpoint, self.check_available)
        # Reads of many keys have connections of their own, so that a GET does not queue behind a long MGET.
        self.mget_connections = LoopConnections(endpoint, self.check_available)
        self._discovery = discovery

    def __str__(self) -> str:
        return f"Redis at {self.server}"

    def check_available(self) -> None:
        """Fail at once while the breaker is open.

        Raises:
            redis.ConnectionError: it is open.
        """
        if self.breaker.is_open:
            raise self.unavailable()

    def unavailable(self) -> RedisConnectionError:
        """Return the error of a read while the breaker is open."""
        return RedisConnectionError(
            f"Redis at {self.server} is unavailable; reads do not use it until it answers a probe"
        )

    def probe(self) -> bool:
        """Probe the server, unless another one has replaced it; see `Probed.probe`."""
        if not self._discovery.still_serves(self.server):
            return False
        self.pool.probe()
        return True

    def reset_after_fork(self) -> None:
        """Drop all connections and the breaker's state in a forked child."""
        self.breaker = Breaker()
        self.pool.reset_after_fork()
        self.get_connections.reset_after_fork()
        self.mget_connections.reset_after_fork()

    def close(self) -> None:
        """Close the connections, except those that threads are reading from."""
        self.pool.close()
        self.get_connections.close()
        self.mget_connections.close()


class Nodes:
    """All servers that hold keys.

    Args:
        address: Where Redis is.
        topology: Knows which server holds a key.
        timeout_s: Time limit of a read.
    """

    def __init__(self, address: Address, topology: Topology, timeout_s: float) -> None:
        """Open no connection yet."""
        self._address = address
        self._topology = topology
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._nodes: dict[Server, Node] = {}
        self._tls = address.ssl_context()
        self.discovery = Discovery(topology, address.kind == "standalone", self._close_removed)
        self.only = self.of(address.servers[0]) if address.kind == "standalone" else None

    def reset_after_fork(self) -> None:
        """Drop all connections and all breakers' state in a forked child."""
        self._lock = threading.Lock()
        self.discovery.reset_after_fork()
        for node in self._nodes.values():
            node.reset_after_fork()

    def close(self) -> None:
        """Close all connections, except those that threads are reading from."""
        for node in list(self._nodes.values()):
            node.close()

    def of(self, server: Server) -> Node:
        """Return the node of a server."""
        node = self._nodes.get(server)
        return node if node is not None else self._create(server)

    def holding(self, raw_key: bytes) -> Node:
        """Return the node that holds a key.

        Raises:
            redis.RedisError: no server is known to hold it.
        """
        return self.only or self.of(self.server_of(raw_key))

    def server_of(self, raw_key: bytes) -> Server:
        """Return the server that holds a key; if none is known, request a discovery for later reads.

        Raises:
            redis.RedisError: no server is known to hold it.
        """
        try:
            return self._topology.node_of(raw_key)
        except RedisError:
            self.discovery.request_refresh()
            raise

    def _on_connected(self) -> None:
        """Request a discovery: the old connection may have ended because another server took over."""
        if self._address.kind == "sentinel":
            self.discovery.request_refresh()

    def _create(self, server: Server) -> Node:
        with self._lock:
            if server not in self._nodes:
                endpoint = Endpoint(server, self._address, self._tls, self._timeout_s, self._on_connected)
                self._nodes[server] = Node(endpoint, self.discovery)
            return self._nodes[server]

    def _close_removed(self) -> None:
        in_use = set(self._topology.nodes())
        with self._lock:
            removed = [self._nodes.pop(server) for server in list(self._nodes) if server not in in_use]
        for node in removed:
            node.close()
