"""Connections of this process's threads to one server: a read takes an idle one, and gives it back after its answer.

A connection goes back only after an answer that was complete and had nothing behind it. Whatever leaves a read in
another way (a time-out, an interrupt, a cut) closes it, so no answer ever reaches another caller.
"""

import contextlib
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Final, NoReturn
from weakref import WeakSet

from redis.exceptions import ConnectionError as RedisConnectionError

from warmer.wire import resp
from warmer.wire.dial import dial, remaining_s
from warmer.wire.endpoint import Endpoint
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
            OSError: it could not be sent; a TimeoutError if not in time.
        """
        self._socket.settimeout(remaining_s(deadline_s))
        self._socket.sendall(request)

    def replies(self, count: int, deadline_s: float, received: bytes = b"") -> list[Reply]:
        """Return the next answers, all by one deadline, however they trickle in.

        Args:
            count: How many.
            deadline_s: Until when, on the clock of `time.monotonic`.
            received: What of them has been received already.

        Raises:
            IncomprehensibleReplyError: they are not RESP2, or more came than was asked for.
            OSError: they did not come; a TimeoutError if not in time.
        """
        parser = ReplyParser()
        replies = parser.feed(received)
        while len(replies) < count:
            replies += parser.feed(self._more_bytes(parser.missing_bytes, deadline_s))
        if len(replies) > count or not parser.is_between_replies:
            raise IncomprehensibleReplyError(f"expected {count} answers, got more")
        self._socket.settimeout(self._timeout_s)
        return replies

    def _more_bytes(self, missing_bytes: int, deadline_s: float) -> bytes:
        """Wait until the deadline; what has come by then is taken, however late this thread gets to look."""
        self._socket.settimeout(max(deadline_s - time.monotonic(), 0))
        try:
            data = self.receive(min(max(CHUNK_BYTES, missing_bytes), LARGEST_CHUNK_BYTES))
        except (BlockingIOError, ssl.SSLWantReadError):
            raise TimeoutError("the time for it is over") from None
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
        route: The way to the server.
    """

    def __init__(self, route: Endpoint) -> None:
        """Open nothing yet."""
        self._route = route
        self._timeout_s = route.timeout_s
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
            again = self._begun_again(error, Exchange(connection, True, request, 1), began_s + self._timeout_s)
            return value_of(self.finish(again, began_s + self._timeout_s)[0])
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
            return self._begun_anew(request, count, deadline_s)
        return self._sent(Exchange(connection, True, request, count), deadline_s)

    def finish(self, exchange: Exchange, deadline_s: float, received: bytes = b"") -> list[Reply]:
        """Return the answers to commands that were sent.

        Args:
            exchange: What `begin` returned.
            deadline_s: By when they have to come, on the clock of `time.monotonic`.
            received: What of the answers has been received already.

        Raises:
            redis.RedisError: they did not come in time.
        """
        try:
            replies = exchange.connection.replies(exchange.count, deadline_s, received)
        except BaseException as error:
            return self.finish(self._begun_again(error, exchange, deadline_s), deadline_s)
        self._give_back(exchange.connection, replies)
        return replies

    def probe(self) -> None:
        """Ask for a sign of life over a new connection, and keep that if there is one.

        Raises:
            redis.RedisError: there is none.
        """
        deadline_s = time.monotonic() + self._timeout_s
        value_of(self.finish(self._begun_anew(resp.PING, 1, deadline_s), deadline_s)[0])

    def _begun_anew(self, request: bytes, count: int, deadline_s: float) -> Exchange:
        return self._sent(Exchange(self._greeted(deadline_s), False, request, count), deadline_s)

    def _begun_again(self, error: BaseException, exchange: Exchange, deadline_s: float) -> Exchange:
        """Begin once more, if all that happened is that the server had closed an idle connection; else raise."""
        if not exchange.is_reused or not isinstance(error, ConnectionError | ssl.SSLEOFError):
            self._give_up(exchange.connection, error)
        exchange.connection.close()
        self.close()  # the others that are idle are as old, and most likely as dead
        return self._begun_anew(exchange.request, exchange.count, deadline_s)

    def _sent(self, exchange: Exchange, deadline_s: float) -> Exchange:
        try:
            exchange.connection.send_all(exchange.request, deadline_s)
        except BaseException as error:
            return self._begun_again(error, exchange, deadline_s)
        return exchange

    def _greeted(self, deadline_s: float) -> Connection:
        """Open a connection, log in, and choose the database."""
        try:
            connection = Connection(dial(self._route.server, self._route.tls, deadline_s), self._timeout_s)
        except OSError as error:
            raise self._route.failure(error) from error
        self._all.add(connection)
        try:
            self._greet(connection, deadline_s)
        except BaseException as error:
            self._give_up(connection, error)
        self._route.opened()
        return connection

    def _greet(self, connection: Connection, deadline_s: float) -> None:
        greeting, count = self._route.greeting()
        if count:
            connection.send_all(greeting, deadline_s)
            for reply in connection.replies(count, deadline_s):
                raise_refusal(reply)

    def _give_back(self, connection: Connection, replies: list[Reply]) -> None:
        is_refused = any(isinstance(reply, RedisConnectionError) for reply in replies)  # such as: log in first
        if is_refused or len(self._idle) >= MOST_IDLE:
            connection.close()
        else:
            self._idle.append(connection)

    def _give_up(self, connection: Connection, error: BaseException) -> NoReturn:
        connection.close()
        if isinstance(error, OSError):
            raise self._route.failure(error) from error
        raise error
