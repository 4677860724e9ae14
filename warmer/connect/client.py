"""Opens the redis-py client that fits an address."""

import os
from typing import Any
from weakref import WeakKeyDictionary

from redis import ConnectionPool, Redis, SSLConnection, UnixDomainSocketConnection
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from warmer.connect.address import Address
from warmer.connect.cluster import ClusterClient
from warmer.connect.memory import client_in_memory
from warmer.connect.options import sentinels_of, server_options

_opened: WeakKeyDictionary[Any, tuple[Address, float, bool]] = WeakKeyDictionary()


def connect(url: str, timeout_s: float, *, resend: bool = False) -> Any:
    """Open a client that also works in forked children; nothing is sent yet.

    By default a command is never sent twice: a script whose reply was lost must not run again.

    Args:
        url: An address that `Address.parse` understands.
        timeout_s: Time limit of a connection, and of a reply. Discovery by a Sentinel or a Cluster node takes as long
            again for each that is queried.
        resend: Whether a command whose reply was lost is sent again; for RQ, whose jobs may be repeated.

    Returns:
        A `redis.Redis` or a `ClusterClient` that answers in bytes; untyped, because redis-py's types do not separate
        bytes from str.

    Raises:
        SettingsError: the address cannot be used.

    Example:
        >>> client = connect("redis://localhost:6379/0", timeout_s=1.0)
        >>> client.close()
    """
    address = Address.parse(url)
    if address.kind == "memory":
        return client_in_memory(address)
    address.ssl_context()  # raises now if a certificate cannot be used
    if address.kind == "cluster":
        return ClusterClient(address, timeout_s, _retry(resend))
    client = Redis.from_pool(_pool(address, timeout_s, resend))  # which closes the pool with the client
    _opened[client] = (address, timeout_s, resend)
    return client


class _SentinelPool(SentinelConnectionPool):
    """Also closes its connections to the Sentinels, which redis-py leaves open."""

    def disconnect(self, inuse_connections: bool = True) -> None:
        super().disconnect(inuse_connections)
        self.sentinel_manager.close()


def _pool(address: Address, timeout_s: float, resend: bool) -> ConnectionPool:
    options = {**server_options(address, timeout_s), "db": address.db, "retry": _retry(resend)}
    if address.kind == "sentinel":
        sentinels = sentinels_of(address, timeout_s)
        return _SentinelPool(address.service, sentinels, **options)  # type: ignore[no-untyped-call]
    (server,) = address.servers
    if server.path:
        return ConnectionPool(connection_class=UnixDomainSocketConnection, path=server.path, **options)
    if options.pop("ssl", False):
        options["connection_class"] = SSLConnection
    return ConnectionPool(host=server.host, port=server.port, **options)


def _retry(resend: bool) -> Retry:
    return Retry(ExponentialBackoff(), 3) if resend else Retry(NoBackoff(), 0)


def _renew_pools() -> None:
    """Give a forked child new pools: a thread of the parent may have held a lock of the old ones."""
    for client, options in list(_opened.items()):
        client.connection_pool = _pool(*options)


os.register_at_fork(after_in_child=_renew_pools)
