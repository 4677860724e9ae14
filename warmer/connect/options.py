"""Connection options of redis-py, the same for every client."""

from typing import Any, Final

from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from warmer.connect.address import Address

MAX_CONNECTIONS: Final = 100_000
"""More than a process has threads; with redis-py's limit of 100 a burst of cold keys would look like an outage."""


def server_options(address: Address, timeout_s: float) -> dict[str, Any]:
    """Return the options for connections to the servers of an address, without its database.

    Args:
        address: Where Redis is.
        timeout_s: Time limit of a connection, and of a reply.
    """
    return _options(address, address.username, address.password, timeout_s)


def sentinels_of(address: Address, timeout_s: float) -> Sentinel:
    """Return a client of the Sentinels of an address, which have separate credentials; the caller closes it.

    Args:
        address: Where the Sentinels are.
        timeout_s: Time limit of a connection, and of a reply.

    Example:
        >>> with sentinels_of(Address.parse("redis+sentinel://app:pw@host/orders"), 1.0) as sentinels:
        ...     sentinels.sentinel_kwargs["username"] is None
        True
    """
    options = _options(address, address.sentinel_username, address.sentinel_password, timeout_s)
    return Sentinel(  # type: ignore[no-untyped-call]
        [(server.host, server.port) for server in address.servers],
        sentinel_kwargs=options | {"retry": Retry(NoBackoff(), 0)},  # the next Sentinel is queried instead
    )


def _options(address: Address, username: str, password: str, timeout_s: float) -> dict[str, Any]:
    return {
        "username": username or None,
        "password": password or None,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "protocol": 2,
        "decode_responses": False,
        "health_check_interval": address.health_check_interval_s,
        "max_connections": MAX_CONNECTIONS,
        **_named_options(address),
        **_tls_options(address),
    }


def _named_options(address: Address) -> dict[str, Any]:
    """Return the options that are left to redis-py's defaults unless the address has them."""
    options: dict[str, Any] = {"client_name": address.client_name} if address.client_name else {}
    if address.socket_keepalive and not address.servers[0].path:  # a Unix socket has none
        options["socket_keepalive"] = True
    return options


def _tls_options(address: Address) -> dict[str, Any]:
    if address.tls is None:
        return {}
    return {
        "ssl": True,
        "ssl_cert_reqs": address.tls.cert_reqs,
        "ssl_check_hostname": address.tls.check_hostname,
        "ssl_ca_certs": address.tls.ca_certs or None,
        "ssl_certfile": address.tls.certfile or None,
        "ssl_keyfile": address.tls.keyfile or None,
    }
