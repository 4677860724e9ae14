"""Endpoint of one server: all that a new connection needs, in a thread or in an event loop."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from warmer.connect.address import Address, Server
from warmer.wire import resp


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Connection settings of one server.

    Args:
        server: The server.
        address: Holds the credentials and the database number.
        tls: Settings for TLS; None for plain connections.
        timeout_s: Time limit of a read, including a new connection.
        on_connected: Called after each new connection.
    """

    server: Server
    address: Address
    tls: ssl.SSLContext | None
    timeout_s: float
    on_connected: Callable[[], None]

    def handshake(self) -> tuple[bytes, int]:
        """Return the first commands of a new connection, and the number of their replies."""
        return resp.handshake(self.address.username, self.address.password, self.address.db)

    def as_redis_error(self, error: BaseException) -> RedisError:
        """Return the error that redis-py would raise for a socket's error.

        Example:
            >>> address = Address.parse("redis://db:6379")
            >>> endpoint = Endpoint(address.servers[0], address, None, 0.25, on_connected=lambda: None)
            >>> str(endpoint.as_redis_error(ConnectionResetError("reset")))
            'Redis at db:6379 cannot be reached: reset'
        """
        if isinstance(error, RedisError):
            return error
        if isinstance(error, TimeoutError):
            return RedisTimeoutError(f"Redis at {self.server} did not answer within {self.timeout_s * 1000:g} ms")
        return RedisConnectionError(f"Redis at {self.server} cannot be reached: {str(error) or type(error).__name__}")
