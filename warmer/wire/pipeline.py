"""Pipelining on one connection of an event loop: many reads share it, and replies come in the order of the commands.

A cancelled read keeps its place in the queue, so that its reply is dropped and reaches no other caller.
"""

import asyncio
import contextlib
import os
import socket
from collections import deque
from typing import Any, Final

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from warmer.connect.address import Server
from warmer.wire.connection import CHUNK_BYTES
from warmer.wire.resp import InvalidReplyError, Reply, ReplyParser, whole_value
from warmer.wire.tls import TlsFilter

ONE: Final = 0
"""The count that stands for one reply which is returned alone, not in a list."""

_NEVER: Final = float("inf")


class LostPipelineError(RedisConnectionError):
    """The connection ended before this reply came."""


class Pipeline:
    """One connection on which any number of reads wait for replies. It belongs to the loop that made it.

    Errors are returned as results, because a future whose caller is gone would log an exception never retrieved.

    Args:
        server: The server, for messages.
        connected: A connected non-blocking socket; the pipeline owns it from now on.
        encryption: The TLS filter of its bytes; None for a plain connection.
    """

    __slots__ = (
        "__weakref__",
        "_encryption",
        "_outbox",
        "_parser",
        "_partial_replies",
        "_server",
        "_socket",
        "_timer_at_s",
        "_unsent",
        "_waiting",
        "is_open",
    )

    def __init__(self, server: Server, connected: socket.socket, encryption: TlsFilter | None) -> None:
        """Start to receive."""
        self._server = server
        self._socket = connected
        self._encryption = encryption
        self._parser = ReplyParser()
        self._waiting: deque[tuple[asyncio.Future[Any], int, float]] = deque()
        self._partial_replies: list[Reply] = []
        self._outbox: list[bytes] = []
        self._unsent = b""
        self._timer_at_s = _NEVER
        self.is_open = True
        asyncio.get_running_loop().add_reader(connected, self._on_readable)

    def __del__(self) -> None:
        """Close the socket when the loop is gone."""
        self._socket.close()

    def execute(self, request: bytes, count: int, deadline_s: float) -> "asyncio.Future[Any]":
        """Send commands and return a future of their replies.

        Args:
            request: The bytes of one or more read commands.
            count: The number of their replies; `ONE` for a single reply outside of a list.
            deadline_s: Until when to wait, on the clock of the loop.

        Returns:
            A future of the reply, of the list of replies, or of a RedisError.
        """
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        if deadline_s < self._timer_at_s:
            self._timer_at_s = deadline_s
            loop.call_at(deadline_s, self._check_deadlines)
        if self._waiting:
            # Reads that start in the same turn of the loop share one system call.
            if not self._outbox:
                loop.call_soon(self._flush)
            self._outbox.append(request)
            self._waiting.append((future, count, deadline_s))
        else:
            self._waiting.append((future, count, deadline_s))
            self._write(request)
        return future

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the connection; waiting reads get a `LostPipelineError`.

        Args:
            loop: The loop that made it.
        """
        self._end(LostPipelineError(f"the connection to Redis at {self._server} was closed"), loop)

    def detach(self) -> None:
        """Drop the socket in a forked child without closing the connection, which the parent still uses."""
        self.is_open = False
        with contextlib.suppress(OSError):
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, self._socket.fileno())
            os.close(null)

    def _flush(self) -> None:
        request = b"".join(self._outbox)
        self._outbox.clear()
        if self.is_open:
            self._write(request)

    def _write(self, data: bytes) -> None:
        try:
            self._send(data if self._encryption is None else self._encryption.encrypt(data))
        except OSError as error:
            self._lose(error)

    def _send(self, data: bytes) -> None:
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        if sent < len(data):
            self._unsent = data[sent:]
            asyncio.get_running_loop().add_writer(self._socket, self._on_writable)

    def _on_writable(self) -> None:
        try:
            sent = self._socket.send(self._unsent)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error)
            return
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            asyncio.get_running_loop().remove_writer(self._socket)

    def _on_readable(self) -> bool:
        """Receive once; return whether there may be more."""
        try:
            data = self._receive()
            if data:
                self._parse(data)
        except (BlockingIOError, InterruptedError):
            return False
        except (OSError, InvalidReplyError) as error:
            self._lose(error)
        return self.is_open

    def _receive(self) -> bytes:
        data = self._socket.recv(CHUNK_BYTES)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        if self._encryption is not None:
            data = self._encryption.decrypt(data)
            if response := self._encryption.encrypt(b""):
                self._send(response)
        return data

    def _parse(self, data: bytes) -> None:
        if self._parser.is_between_replies and (value := whole_value(data)) is not ...:
            self._deliver(value)
            return
        for reply in self._parser.feed(data):
            self._deliver(reply)

    def _deliver(self, reply: Reply) -> None:
        if not self._waiting:
            raise InvalidReplyError("expected no reply, got one")
        future, count, _ = self._waiting[0]
        if count == ONE:
            result: Any = reply
        else:
            self._partial_replies.append(reply)
            if len(self._partial_replies) < count:
                return
            result, self._partial_replies = self._partial_replies, []
        self._waiting.popleft()
        if not future.done():  # its caller may have been cancelled
            future.set_result(result)

    def _check_deadlines(self) -> None:
        """Close the connection when a reply is overdue: the replies behind it would come even later."""
        self._timer_at_s = _NEVER
        while self._waiting and self._on_readable():  # a busy loop may not have read replies that came in time
            pass
        if not self._waiting:
            return
        loop = asyncio.get_running_loop()
        first_s = min(deadline_s for _, _, deadline_s in self._waiting)
        if first_s <= loop.time():
            self._end(RedisTimeoutError(f"Redis at {self._server} did not answer in time"), loop)
        else:
            self._timer_at_s = first_s
            loop.call_at(first_s, self._check_deadlines)

    def _lose(self, error: Exception) -> None:
        message = f"the connection to Redis at {self._server} was lost: {error}"
        self._end(LostPipelineError(message), asyncio.get_running_loop())

    def _end(self, error: RedisError, loop: asyncio.AbstractEventLoop) -> None:
        if not self.is_open:
            return
        self.is_open = False
        loop.remove_reader(self._socket)
        loop.remove_writer(self._socket)
        self._socket.close()
        waiting, self._waiting = self._waiting, deque()
        for future, _, _ in waiting:
            if not future.done():
                future.set_result(error)
