"""Topology: which server holds a key. It is fixed for one server, and queried for Sentinels and a Cluster."""

from binascii import crc_hqx
from typing import Final

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry

from warmer.connect.address import Address, Server
from warmer.connect.options import sentinels_of, server_options

SLOTS: Final = 16384


def slot_of(key: bytes) -> int:
    """Return a key's slot in a Cluster; a hash tag decides if the key has one.

    Example:
        >>> slot_of(b"warmer:lease:{catalog}") == slot_of(b"warmer:entry:{catalog}")
        True
    """
    start = key.find(b"{") + 1
    if start:
        end = key.find(b"}", start)
        if end > start:
            key = key[start:end]
    return crc_hqx(key, 0) % SLOTS


class Topology:
    """Knows which server holds a key. Only `refresh` sends queries.

    Example:
        >>> Topology.of(Address.parse("redis://localhost"), timeout_s=1.0).node_of(b"catalog")
        Server(host='localhost', port=6379, path='')
    """

    @staticmethod
    def of(address: Address, timeout_s: float) -> "Topology":
        """Return the topology for an address; nothing is sent yet.

        Args:
            address: Where Redis is.
            timeout_s: Time limit for each server that is queried.

        Raises:
            ValueError: the address is ``memory://``.
        """
        if address.kind == "memory":
            raise ValueError("expected an address with servers, got memory://, which is reached by no connection")
        if address.kind == "standalone":
            return _OneServer(address.servers[0])
        return (_Sentinels if address.kind == "sentinel" else _Cluster)(address, timeout_s)

    def node_of(self, key: bytes) -> Server:
        """Return the server that holds a key, given in bytes.

        Raises:
            redis.ConnectionError: none is known.
        """
        raise NotImplementedError

    def nodes(self) -> tuple[Server, ...]:
        """Return every server that holds keys."""
        raise NotImplementedError

    def moved(self, slot: int, server: Server) -> None:
        """Record the new server of a Cluster's slot, from a MOVED reply."""

    def refresh(self) -> None:
        """Query which server holds which keys.

        Raises:
            redis.RedisError: no server answered; the previous answer stays valid.
        """


class _OneServer(Topology):
    def __init__(self, server: Server) -> None:
        self._server = server

    def node_of(self, key: bytes) -> Server:
        return self._server

    def nodes(self) -> tuple[Server, ...]:
        return (self._server,)


class _Sentinels(Topology):
    def __init__(self, address: Address, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._master: Server | None = None

    def node_of(self, key: bytes) -> Server:
        if self._master is None:
            raise RedisConnectionError(f"no Sentinel has named the master of {self._address.service} yet")
        return self._master

    def nodes(self) -> tuple[Server, ...]:
        return () if self._master is None else (self._master,)

    def refresh(self) -> None:
        with sentinels_of(self._address, self._timeout_s) as sentinels:
            master = sentinels.discover_master(self._address.service)
        self._master = Server(*master)


class _Cluster(Topology):
    def __init__(self, address: Address, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._masters: list[Server | None] = [None] * SLOTS

    def node_of(self, key: bytes) -> Server:
        slot = slot_of(key)
        master = self._masters[slot]
        if master is None:
            raise RedisConnectionError(f"no master of the Redis Cluster is known to serve slot {slot}")
        return master

    def nodes(self) -> tuple[Server, ...]:
        return tuple(dict.fromkeys(master for master in self._masters if master is not None))

    def moved(self, slot: int, server: Server) -> None:
        if 0 <= slot < SLOTS:  # a broken server may send any number
            self._masters[slot] = server

    def refresh(self) -> None:
        failed: RedisError | None = None
        # The startup nodes come last: they may have left the Cluster, but no other node may be reachable.
        for server in dict.fromkeys((*self.nodes(), *self._address.servers)):
            try:
                self._masters = self._query_masters(server)
            except RedisError as error:
                failed = error
            else:
                return
        raise RedisConnectionError(f"no node of the Redis Cluster returned its slots: {failed}") from failed

    def _query_masters(self, server: Server) -> list[Server | None]:
        masters: list[Server | None] = [None] * SLOTS
        with Redis(
            host=server.host,
            port=server.port,
            retry=Retry(NoBackoff(), 0),
            **server_options(self._address, self._timeout_s),
        ) as client:
            ranges = client.execute_command("CLUSTER SLOTS")
        for first, last, (host, port, *_), *_ in ranges:
            # A node that does not know its own host has the host that was queried.
            master = Server((host or b"").decode().replace("?", "") or server.host, port)
            masters[first : last + 1] = [master] * (last + 1 - first)
        return masters
