"""Connection pool of this process's threads to one server.

A connection returns to the pool only after a complete reply with nothing behind it. A read that ends in any other way
(time-out, interrupt, lost connection) closes it, so that no reply reaches another caller.
"""

import contextlib
import ssl
import time
from typing import Final, NoReturn
from weakref import WeakSet

from redis.exceptions import ConnectionError as RedisConnectionError

from warmer.wire import resp
from warmer.wire.connection import CHUNK_BYTES, Connection, Exchange
from warmer.wire.endpoint import Endpoint
from warmer.wire.resp import Reply, Value, raise_rejection, value_of, whole_value
from warmer.wire.sockets import open_socket

MAX_IDLE: Final = 64
"""Idle connections to keep; more are opened when more threads read at the same time."""


class Pool:
    """Idle connections to one server; threads share it without a lock.

    Args:
        endpoint: How to connect.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        """Open no connection yet."""
        self._endpoint = endpoint
        self._timeout_s = endpoint.timeout_s
        self._idle: list[Connection] = []
        self._all: WeakSet[Connection] = WeakSet()

    def reset_after_fork(self) -> None:
        """Drop all connections in a forked child; the parent's stay open."""
        for connection in list(self._all):
            connection.close()
        self._idle = []
        self._all = WeakSet()

    def close(self) -> None:
        """Close the idle connections."""
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().close()

    def get(self, raw_key: bytes, began_s: float) -> Value:
        """Return the value of a key.

        Args:
            raw_key: The key in bytes.
            began_s: When the read began, on the clock of `time.monotonic`.

        Raises:
            redis.RedisError: the server did not answer in time, or rejected the command.
        """
        request = resp.get(raw_key)
        try:
            connection = self._idle.pop()
        except IndexError:
            return value_of(self.execute(request, 1, began_s + self._timeout_s)[0])
        try:
            connection.send(request)
            data = connection.receive(CHUNK_BYTES)
        except BaseException as error:
            retried = self._retry(error, Exchange(connection, True, request, 1), began_s + self._timeout_s)
            return value_of(self.finish(retried, began_s + self._timeout_s)[0])
        value = whole_value(data)
        if value is ...:
            exchange = Exchange(connection, True, request, 1)
            return value_of(self.finish(exchange, began_s + self._timeout_s, data)[0])
        if len(self._idle) < MAX_IDLE:
            self._idle.append(connection)
        return value

    def execute(self, request: bytes, count: int, deadline_s: float) -> list[Reply]:
        """Send commands and return their replies; a connection that the server has closed is replaced once.

        Args:
            request: The bytes of one or more read commands.
            count: The number of their replies.
            deadline_s: On the clock of `time.monotonic`.

        Raises:
            redis.RedisError: the server did not answer in time.
        """
        return self.finish(self.begin(request, count, deadline_s), deadline_s)

    def begin(self, request: bytes, count: int, deadline_s: float) -> Exchange:
        """Send commands; `finish` returns their replies. The arguments are those of `execute`.

        Raises:
            redis.RedisError: they could not be sent in time.
        """
        try:
            connection = self._idle.pop()
        except IndexError:
            return self._begin_on_new_connection(request, count, deadline_s)
        return self._send(Exchange(connection, True, request, count), deadline_s)

    def finish(self, exchange: Exchange, deadline_s: float, received: bytes = b"") -> list[Reply]:
        """Return the replies to commands that were sent.

        Args:
            exchange: The result of `begin`.
            deadline_s: On the clock of `time.monotonic`.
            received: The bytes of the replies that have been received already.

        Raises:
            redis.RedisError: they did not come in time.
        """
        try:
            replies = exchange.connection.replies(exchange.count, deadline_s, received)
        except BaseException as error:
            return self.finish(self._retry(error, exchange, deadline_s), deadline_s)
        self._release(exchange.connection, replies)
        return replies

    def probe(self) -> None:
        """Send a PING over a new connection, and keep the connection if there is a reply.

        Raises:
            redis.RedisError: there is none in time.
        """
        deadline_s = time.monotonic() + self._timeout_s
        value_of(self.finish(self._begin_on_new_connection(resp.PING, 1, deadline_s), deadline_s)[0])

    def _begin_on_new_connection(self, request: bytes, count: int, deadline_s: float) -> Exchange:
        return self._send(Exchange(self._open(deadline_s), False, request, count), deadline_s)

    def _retry(self, error: BaseException, exchange: Exchange, deadline_s: float) -> Exchange:
        """Begin again if the server had closed an idle connection; raise any other error."""
        if not exchange.is_reused or not isinstance(error, ConnectionError | ssl.SSLEOFError):
            self._discard(exchange.connection, error)
        exchange.connection.close()
        self.close()  # the other idle connections are as old, and most likely closed too
        return self._begin_on_new_connection(exchange.request, exchange.count, deadline_s)

    def _send(self, exchange: Exchange, deadline_s: float) -> Exchange:
        try:
            exchange.connection.send_all(exchange.request, deadline_s)
        except BaseException as error:
            return self._retry(error, exchange, deadline_s)
        return exchange

    def _open(self, deadline_s: float) -> Connection:
        """Connect, log in and select the database."""
        try:
            opened = open_socket(self._endpoint.server, self._endpoint.tls, deadline_s)
            connection = Connection(opened, self._timeout_s)
        except OSError as error:
            raise self._endpoint.as_redis_error(error) from error
        self._all.add(connection)
        try:
            self._handshake(connection, deadline_s)
        except BaseException as error:
            self._discard(connection, error)
        self._endpoint.on_connected()
        return connection

    def _handshake(self, connection: Connection, deadline_s: float) -> None:
        request, count = self._endpoint.handshake()
        if count:
            connection.send_all(request, deadline_s)
            for reply in connection.replies(count, deadline_s):
                raise_rejection(reply)

    def _release(self, connection: Connection, replies: list[Reply]) -> None:
        is_rejected = any(isinstance(reply, RedisConnectionError) for reply in replies)  # such as NOAUTH
        if is_rejected or len(self._idle) >= MAX_IDLE:
            connection.close()
        else:
            self._idle.append(connection)

    def _discard(self, connection: Connection, error: BaseException) -> NoReturn:
        connection.close()
        if isinstance(error, OSError):
            raise self._endpoint.as_redis_error(error) from error
        raise error
