"""Which server holds a key: constant for one server, discovered for Sentinels and for a Cluster."""

import threading
from binascii import crc_hqx
from collections.abc import Iterator
from typing import Final

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

from warmer import forking
from warmer.address import Address, Server
from warmer.connect.options import sentinel_options, server_options

SLOTS: Final = 16384


def slot_of(key: bytes) -> int:
    """Return a key's slot in a Cluster: that of its hash tag, if it has one.

    Args:
        key: The key as Redis knows it.

    Example:
        >>> slot_of(b"warmer:lease:{catalog}") == slot_of(b"warmer:entry:{catalog}")
        True
    """
    start = key.find(b"{") + 1
    if start:
        end = key.find(b"}", start)
        if end > start:
            key = key[start:end]
    return crc_hqx(key, 0) & 16383


class Topology:
    """Knows which server holds a key; safe to share among threads and with forked children.

    Example:
        >>> Topology.of(Address.parse("redis://localhost"), timeout_s=1.0).node_of(b"catalog")
        Server(host='localhost', port=6379, path='')
    """

    @staticmethod
    def of(address: Address, timeout_s: float) -> "Topology":
        """Return what fits the address; nothing is sent yet.

        Args:
            address: Where Redis is.
            timeout_s: How long to wait for each server that is asked.

        Raises:
            ValueError: a server in this process's memory has no address.
        """
        if address.kind == "memory":
            raise ValueError("expected an address with servers, got memory://, which is reached by no connection")
        if address.kind == "standalone":
            return _OneServer(address.servers[0])
        return (_Sentinels if address.kind == "sentinel" else _Cluster)(address, timeout_s)

    def node_of(self, key: bytes) -> Server:
        """Return the server that holds a key, as far as is known; asks only if nothing is known yet.

        Args:
            key: The key as Redis knows it.

        Raises:
            redis.RedisError: nothing is known yet, and nobody could be asked.
        """
        raise NotImplementedError

    def nodes(self) -> tuple[Server, ...]:
        """Return every server that holds keys, as far as is known; asks only if nothing is known yet.

        Raises:
            redis.RedisError: nothing is known yet, and nobody could be asked.
        """
        raise NotImplementedError

    def moved(self, slot: int, server: Server) -> None:
        """Note that a slot of a Cluster is with another server now, as a MOVED answer says; else does nothing.

        Args:
            slot: Number of the slot.
            server: Its new server.
        """

    def refresh(self) -> None:
        """Ask anew who holds what, as after a lost connection; callers at the same time share one answer.

        Raises:
            redis.RedisError: nobody could be asked; what was known stays.
        """


class _OneServer(Topology):
    def __init__(self, server: Server) -> None:
        self._server = server

    def node_of(self, key: bytes) -> Server:
        return self._server

    def nodes(self) -> tuple[Server, ...]:
        return (self._server,)


class _Discovered(Topology):
    """What both kinds share: one question at a time, whose answer is for all who wait."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._questions = 0
        self._failure: RedisError | None = None
        self._renew_lock()
        self._fork_hook = forking.in_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self._asking = threading.Lock()  # a thread of the parent's may have held the old one, for ever

    def refresh(self) -> None:
        asked_before = self._questions
        with self._asking:
            if self._questions == asked_before:
                self._failure = self._failure_of_asking()
                self._questions += 1
            if self._failure is not None:
                raise self._failure

    def _failure_of_asking(self) -> RedisError | None:
        try:
            self._ask()
        except RedisError as error:
            return error
        return None

    def _ask(self) -> None:
        raise NotImplementedError


class _Sentinels(_Discovered):
    def __init__(self, address: Address, timeout_s: float) -> None:
        super().__init__(address, timeout_s)
        self._master: Server | None = None

    def node_of(self, key: bytes) -> Server:
        return self._master or self._first_master()

    def nodes(self) -> tuple[Server, ...]:
        return (self.node_of(b""),)

    def _first_master(self) -> Server:
        self.refresh()
        assert self._master is not None  # noqa: S101
        return self._master

    def _ask(self) -> None:
        address = self._address
        sentinels = Sentinel(  # type: ignore[no-untyped-call]
            [(server.host, server.port) for server in address.servers],
            sentinel_kwargs=sentinel_options(address, self._timeout_s),
        )
        with sentinels:
            self._master = Server(*sentinels.discover_master(address.service))  # type: ignore[no-untyped-call]


class _Cluster(_Discovered):
    def __init__(self, address: Address, timeout_s: float) -> None:
        super().__init__(address, timeout_s)
        self._masters: list[Server | None] = []  # by slot

    def node_of(self, key: bytes) -> Server:
        start = key.find(b"{") + 1  # as slot_of, here in line because every read comes by
        if start:
            end = key.find(b"}", start)
            if end > start:
                key = key[start:end]
        try:
            return self._masters[crc_hqx(key, 0) & 16383] or self._master_after_refresh(key)
        except IndexError:
            return self._master_after_refresh(key)

    def _master_after_refresh(self, tag: bytes) -> Server:
        self.refresh()
        slot = crc_hqx(tag, 0) & 16383
        master = self._masters[slot]
        if master is None:
            raise RedisConnectionError(f"no master of the Redis Cluster serves slot {slot}")
        return master

    def nodes(self) -> tuple[Server, ...]:
        if not self._masters:
            self.refresh()
        return tuple(dict.fromkeys(master for master in self._masters if master is not None))

    def moved(self, slot: int, server: Server) -> None:
        if self._masters:
            self._masters[slot] = server

    def _ask(self) -> None:
        failed: RedisError | None = None
        # Those of the address come last: they may have left, but they may also be all that is left.
        for server in dict.fromkeys((*self._known(), *self._address.servers)):
            try:
                self._masters = self._masters_according_to(server)
            except RedisError as error:
                failed = error
            else:
                return
        raise RedisConnectionError(f"no node of the Redis Cluster says who serves which slots: {failed}") from failed

    def _known(self) -> Iterator[Server]:
        return (master for master in self._masters if master is not None)

    def _masters_according_to(self, server: Server) -> list[Server | None]:
        masters: list[Server | None] = [None] * SLOTS
        with Redis(
            host=server.host,
            port=server.port,
            retry=Retry(NoBackoff(), 0),
            **server_options(self._address, self._timeout_s),
        ) as client:
            ranges = client.execute_command("CLUSTER SLOTS")
        for first, last, (host, port, *_), *_ in ranges:
            # A node that does not know its own host is where it was asked.
            master = Server((host or b"").decode().replace("?", "") or server.host, port)
            masters[first : last + 1] = [master] * (last + 1 - first)
        return masters
