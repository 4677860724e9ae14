"""The way to one server: what its connections need, whether a thread or an event loop makes them."""

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
    """How to reach one server.

    Args:
        server: Which server.
        address: Whose credentials and database a new connection begins with.
        tls: What connections are encrypted with; None for plain ones.
        timeout_s: How long a read may take, a new connection included.
        opened: Called when a new connection has been opened.
    """

    server: Server
    address: Address
    tls: ssl.SSLContext | None
    timeout_s: float
    opened: Callable[[], None]

    def greeting(self) -> tuple[bytes, int]:
        """Return what a new connection says first, and how many answers that has."""
        return resp.greeting(self.address.username, self.address.password, self.address.db)

    def failure(self, error: BaseException) -> RedisError:
        """Return what redis-py would raise for a failure on this way.

        Args:
            error: What an operation on a socket raised.

        Example:
            >>> address = Address.parse("redis://db:6379")
            >>> route = Endpoint(address.servers[0], address, tls=None, timeout_s=0.25, opened=lambda: None)
            >>> str(route.failure(ConnectionResetError("reset")))
            'Redis at db:6379 cannot be reached: reset'
        """
        if isinstance(error, RedisError):
            return error
        if isinstance(error, TimeoutError):
            return RedisTimeoutError(f"Redis at {self.server} did not answer within {self.timeout_s * 1000:g} ms")
        return RedisConnectionError(f"Redis at {self.server} cannot be reached: {str(error) or type(error).__name__}")
