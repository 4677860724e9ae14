"""Connections of this process's threads to one server: a read takes an idle one, and gives it back after its answer.

A connection goes back only after an answer that was complete and had nothing behind it. Whatever leaves a read in
another way (a time-out, an interrupt, a cut) closes it, so no answer ever reaches another caller.
"""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from weakref import WeakSet

from redis.exceptions import ConnectionError as RedisConnectionError

from warmer.address import Address, Server
from warmer.wire import resp
from warmer.wire.dial import as_redis_error, dial, remaining_s
from warmer.wire.resp import (
    IncomprehensibleReplyError,
    Reply,
    ReplyParser,
    Value,
    raise_refusal,
    value_of,
    whole_value,
)

CHUNK_BYTES: Final = 131_008
"""How much is received at once: just below what malloc would ask the kernel for, anew each time."""

LARGEST_CHUNK_BYTES: Final = 4_194_304

MOST_IDLE: Final = 64
"""Connections to one server that are kept for later; more of them are opened when more threads read at once."""


class DeadConnectionError(ConnectionResetError):
    """An idle connection had been closed by the server: nothing was answered on it."""


class Connection:
    """One connection.

    Args:
        connected: Its socket.
        timeout_s: How long the first wait for an answer may be.
    """

    __slots__ = ("__weakref__", "_socket", "_timeout_s", "receive", "send")

    def __init__(self, connected: socket.socket, timeout_s: float) -> None:
        """Take the socket over."""
        connected.settimeout(timeout_s)
        self._socket = connected
        self._timeout_s = timeout_s
        self.send = connected.send
        self.receive = connected.recv

    def __del__(self) -> None:
        """Close it when nobody has it any more, as after an interrupt."""
        self._socket.close()

    def close(self) -> None:
        """Close it; never raises."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def send_all(self, request: bytes, deadline_s: float) -> None:
        """Send a request of any length.

        Args:
            request: The bytes of one or more commands.
            deadline_s: Until when, on the clock of `time.monotonic`.

        Raises:
            DeadConnectionError: the server has closed the connection.
            OSError: it could not be sent; a TimeoutError if not in time.
        """
        self._socket.settimeout(remaining_s(deadline_s))
        try:
            self._socket.sendall(request)
        except (ConnectionError, ssl.SSLEOFError) as error:
            raise DeadConnectionError(str(error)) from None

    def replies(self, count: int, deadline_s: float, received: bytes = b"") -> list[Reply]:
        """Return the next answers, all by one deadline, however they trickle in.

        Args:
            count: How many.
            deadline_s: Until when, on the clock of `time.monotonic`.
            received: What of them has been received already.

        Raises:
            DeadConnectionError: the server closed the connection before the first byte.
            IncomprehensibleReplyError: they are not RESP2, or more came than was asked for.
            OSError: they did not come; a TimeoutError if not in time.
        """
        parser = ReplyParser()
        replies = parser.feed(received) if received else parser.feed(self._first_bytes(deadline_s))
        while len(replies) < count:
            replies += parser.feed(self._more_bytes(parser.missing_bytes, deadline_s))
        if len(replies) > count or not parser.is_between_replies:
            raise IncomprehensibleReplyError(f"expected {count} answers, got more")
        self._socket.settimeout(self._timeout_s)
        return replies

    def _first_bytes(self, deadline_s: float) -> bytes:
        try:
            return self._more_bytes(0, deadline_s)
        except (ConnectionError, ssl.SSLEOFError) as error:
            raise DeadConnectionError(str(error)) from None

    def _more_bytes(self, missing_bytes: int, deadline_s: float) -> bytes:
        self._socket.settimeout(remaining_s(deadline_s))
        data = self.receive(min(max(CHUNK_BYTES, missing_bytes), LARGEST_CHUNK_BYTES))
        if not data:
            raise ConnectionResetError("the server closed the connection")
        return data


@dataclass(slots=True)
class Exchange:
    """Commands that were sent, and whose answers are to come.

    Args:
        connection: Where they were sent.
        is_reused: Whether it had been idle, so that the server may have closed it unnoticed.
        request: Their bytes.
        count: How many answers they have.
    """

    connection: Connection
    is_reused: bool
    request: bytes
    count: int


class Pool:
    """The connections to one server that wait for their next read; threads share it without a lock.

    Args:
        server: Which server.
        address: Credentials and database.
        tls: What connections are encrypted with; None for plain ones.
        timeout_s: How long a read may take, a new connection included.
        opened: Called when a new connection has been opened.
    """

    def __init__(
        self,
        server: Server,
        address: Address,
        tls: ssl.SSLContext | None,
        timeout_s: float,
        opened: Callable[[], None],
    ) -> None:
        """Open nothing yet."""
        self._server = server
        self._greeting, self._greeting_count = resp.greeting(address.username, address.password, address.db)
        self._tls = tls
        self._opened = opened
        self._timeout_s = timeout_s
        self._idle: list[Connection] = []
        self._all: WeakSet[Connection] = WeakSet()

    def start_afresh(self) -> None:
        """Let go of all connections, without a word to the server: in a forked child they are the parent's."""
        for connection in list(self._all):
            connection.close()
        self._idle = []
        self._all = WeakSet()

    def close(self) -> None:
        """Close the idle connections."""
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().close()

    def get(self, key: bytes, began_s: float) -> Value:
        """Return what a key holds.

        Args:
            key: The key as Redis knows it.
            began_s: When the read began, on the clock of `time.monotonic`.

        Raises:
            redis.RedisError: the server did not answer in time, or refused.
        """
        request = resp.get(key)
        try:
            connection = self._idle.pop()
        except IndexError:
            return value_of(self.ask(request, 1, began_s + self._timeout_s)[0])
        try:
            connection.send(request)
            data = connection.receive(CHUNK_BYTES)
        except BaseException as error:
            exchange = Exchange(connection, True, request, 1)
            return value_of(self._after(error, exchange, began_s + self._timeout_s)[0])
        value = whole_value(data)
        if value is ...:
            exchange = Exchange(connection, True, request, 1)
            return value_of(self.finish(exchange, began_s + self._timeout_s, data)[0])
        if len(self._idle) < MOST_IDLE:
            self._idle.append(connection)
        return value

    def ask(self, request: bytes, count: int, deadline_s: float) -> list[Reply]:
        """Send commands and return their answers; a connection that turns out dead is replaced once.

        Args:
            request: The bytes of one or more commands that only read.
            count: How many answers they have.
            deadline_s: By when, on the clock of `time.monotonic`.

        Raises:
            redis.RedisError: the server did not answer in time.
        """
        return self.finish(self.begin(request, count, deadline_s), deadline_s)

    def begin(self, request: bytes, count: int, deadline_s: float) -> Exchange:
        """Send commands; `finish` returns their answers.

        Args:
            request: The bytes of one or more commands that only read.
            count: How many answers they have.
            deadline_s: By when they have to be sent, on the clock of `time.monotonic`.

        Raises:
            redis.RedisError: they could not be sent in time.
        """
        try:
            connection = self._idle.pop()
        except IndexError:
            return self._begin_anew(request, count, deadline_s)
        try:
            with self._closed_by_failures(connection, is_reused=True):
                connection.send_all(request, deadline_s)
        except DeadConnectionError:
            self.close()
            return self._begin_anew(request, count, deadline_s)
        return Exchange(connection, True, request, count)

    def finish(self, exchange: Exchange, deadline_s: float, received: bytes = b"") -> list[Reply]:
        """Return the answers to commands that were sent.

        Args:
            exchange: What `begin` returned.
            deadline_s: By when they have to come, on the clock of `time.monotonic`.
            received: What of the answers has been received already.

        Raises:
            redis.RedisError: they did not come in time.
        """
        connection = exchange.connection
        try:
            with self._closed_by_failures(connection, exchange.is_reused):
                replies = connection.replies(exchange.count, deadline_s, received)
        except DeadConnectionError as error:
            return self._after(error, exchange, deadline_s)
        self._give_back(connection, replies)
        return replies

    def probe(self) -> None:
        """Ask for a sign of life over a new connection, and keep that if there is one.

        Raises:
            redis.RedisError: there is none.
        """
        deadline_s = time.monotonic() + self._timeout_s
        value_of(self.finish(self._begin_anew(resp.PING, 1, deadline_s), deadline_s)[0])

    def _after(self, error: BaseException, exchange: Exchange, deadline_s: float) -> list[Reply]:
        """Ask once more, if all that happened is that the server had closed an idle connection; else raise."""
        exchange.connection.close()
        if exchange.is_reused and isinstance(error, ConnectionError | ssl.SSLEOFError):
            self.close()  # the others that are idle are as old, and most likely as dead
            return self.finish(self._begin_anew(exchange.request, exchange.count, deadline_s), deadline_s)
        if isinstance(error, OSError):
            raise as_redis_error(self._server, error, self._timeout_s) from error
        raise error

    def _begin_anew(self, request: bytes, count: int, deadline_s: float) -> Exchange:
        connection = self._greeted(deadline_s)
        with self._closed_by_failures(connection):
            connection.send_all(request, deadline_s)
        return Exchange(connection, False, request, count)

    def _greeted(self, deadline_s: float) -> Connection:
        """Open a connection, log in, and choose the database."""
        try:
            connection = Connection(dial(self._server, self._tls, deadline_s), self._timeout_s)
        except OSError as error:
            raise as_redis_error(self._server, error, self._timeout_s) from error
        self._all.add(connection)
        if self._greeting:
            with self._closed_by_failures(connection):
                connection.send_all(self._greeting, deadline_s)
                for reply in connection.replies(self._greeting_count, deadline_s):
                    raise_refusal(reply)
        self._opened()
        return connection

    def _give_back(self, connection: Connection, replies: list[Reply]) -> None:
        is_refused = any(isinstance(reply, RedisConnectionError) for reply in replies)  # such as: log in first
        if is_refused or len(self._idle) >= MOST_IDLE:
            connection.close()
        else:
            self._idle.append(connection)

    @contextlib.contextmanager
    def _closed_by_failures(self, connection: Connection, is_reused: bool = False) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            connection.close()
            is_replaceable = is_reused and isinstance(error, DeadConnectionError)
            if isinstance(error, OSError) and not is_replaceable:
                raise as_redis_error(self._server, error, self._timeout_s) from error
            raise
