"""Connections of event loops: many reads share one, and their answers come in the order of their commands.

Each loop has a connection of its own to each server. A read that is cancelled leaves its place in the queue behind, so
that its answer is thrown away and given to nobody else. Nothing here keeps a loop alive, or is left over when one ends:
only the loop itself holds its connections, and they close with it.
"""

import asyncio
import contextlib
import os
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary, ref

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from warmer.connect.address import Server
from warmer.wire.dial import dial_in_loop
from warmer.wire.endpoint import Endpoint
from warmer.wire.pool import CHUNK_BYTES
from warmer.wire.resp import IncomprehensibleReplyError, Reply, ReplyParser, raise_refusal, whole_value
from warmer.wire.tls import TlsFilter

ONE: Final = 0
"""The count that stands for one answer, given as it is and not in a list."""

_NEVER: Final = float("inf")


class LostPipelineError(RedisConnectionError):
    """A connection ended before this answer came."""


class Pipeline:
    """One connection, on which any number of reads wait for their answers. It belongs to the loop that made it.

    Failures are answers, too: a read whose caller has gone would otherwise leave an exception that nobody takes.

    Args:
        server: Which server it leads to.
        connected: Its socket, which does not block.
        encryption: What its bytes pass through; None for a plain one.
    """

    __slots__ = (
        "__weakref__",
        "_encryption",
        "_gathered",
        "_outbox",
        "_parser",
        "_server",
        "_socket",
        "_timer_at_s",
        "_unsent",
        "_waiting",
        "is_open",
    )

    def __init__(self, server: Server, connected: socket.socket, encryption: TlsFilter | None) -> None:
        """Take the socket over."""
        self._server = server
        self._socket = connected
        self._encryption = encryption
        self._parser = ReplyParser()
        self._waiting: deque[tuple[asyncio.Future[Any], int, float]] = deque()
        self._gathered: list[Reply] = []
        self._outbox: list[bytes] = []
        self._unsent = b""
        self._timer_at_s = _NEVER
        self.is_open = True
        asyncio.get_running_loop().add_reader(connected, self._readable)

    def __del__(self) -> None:
        """Close the socket with the loop that is gone."""
        self._socket.close()

    def ask(self, request: bytes, count: int, deadline_s: float) -> "asyncio.Future[Any]":
        """Send commands and return what their answers will be found in.

        Args:
            request: The bytes of one or more commands that only read.
            count: How many answers they have; ONE for a single one outside of a list.
            deadline_s: By when they have to come, on the clock of the loop.

        Returns:
            A future of the answer, of the list of answers, or of the RedisError that came instead.
        """
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        if deadline_s < self._timer_at_s:
            self._timer_at_s = deadline_s
            loop.call_at(deadline_s, self._check_deadlines)
        if self._waiting:
            # Whoever asks at the same time as others shares one system call with them.
            if not self._outbox:
                loop.call_soon(self._flush)
            self._outbox.append(request)
            self._waiting.append((future, count, deadline_s))
        else:
            self._waiting.append((future, count, deadline_s))
            self._write(request)
        return future

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close it; reads that wait are told.

        Args:
            loop: The loop that made it.
        """
        self._end(LostPipelineError(f"the connection to Redis at {self._server} was closed"), loop)

    def let_go(self) -> None:
        """Let go of the socket without a word to anyone: in a forked child it and its selector are the parent's."""
        self.is_open = False
        with contextlib.suppress(OSError):
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, self._socket.fileno())
            os.close(nowhere)

    def _flush(self) -> None:
        request = b"".join(self._outbox)
        self._outbox.clear()
        if self.is_open:
            self._write(request)

    def _write(self, data: bytes) -> None:
        try:
            self._push(data if self._encryption is None else self._encryption.enciphered(data))
        except OSError as error:
            self._lose(error)

    def _push(self, data: bytes) -> None:
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        if sent < len(data):
            self._unsent = data[sent:]
            asyncio.get_running_loop().add_writer(self._socket, self._writable)

    def _writable(self) -> None:
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

    def _readable(self) -> bool:
        """Take what has come; returns whether there may be more."""
        try:
            data = self._received()
            if data:
                self._take(data)
        except (BlockingIOError, InterruptedError):
            return False
        except (OSError, IncomprehensibleReplyError) as error:
            self._lose(error)
        return self.is_open

    def _received(self) -> bytes:
        data = self._socket.recv(CHUNK_BYTES)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        if self._encryption is not None:
            data = self._encryption.deciphered(data)
            if reaction := self._encryption.enciphered(b""):
                self._push(reaction)
        return data

    def _take(self, data: bytes) -> None:
        if self._parser.is_between_replies and (value := whole_value(data)) is not ...:
            self._deliver(value)
            return
        for reply in self._parser.feed(data):
            self._deliver(reply)

    def _deliver(self, reply: Reply) -> None:
        if not self._waiting:
            raise IncomprehensibleReplyError("expected nothing, got an answer")
        future, count, _ = self._waiting[0]
        if count == ONE:
            found: Any = reply
        else:
            self._gathered.append(reply)
            if len(self._gathered) < count:
                return
            found, self._gathered = self._gathered, []
        self._waiting.popleft()
        if not future.done():  # its caller may have been cancelled
            future.set_result(found)

    def _check_deadlines(self) -> None:
        """Give the connection up when an answer is overdue: those behind it would come even later."""
        self._timer_at_s = _NEVER
        while self._waiting and self._readable():  # what has come is no later for a loop that was busy elsewhere
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
        why = f"the connection to Redis at {self._server} was lost: {error}"
        self._end(LostPipelineError(why), asyncio.get_running_loop())

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


class LoopConnection:
    """The way of one loop to one server: a connection, made when it is needed, and anew when it is lost.

    Args:
        route: The way to the server.
        check: Raises if the server is not to be asked by now.
    """

    __slots__ = ("_check", "_connecting", "_route", "_stream")

    def __init__(self, route: Endpoint, check: Callable[[], None]) -> None:
        """Open nothing yet."""
        self._route = route
        self._check = check
        self._connecting = asyncio.Lock()
        self._stream: Callable[[], Pipeline | None] = lambda: None  # a weak reference: only the loop holds it

    async def ask(self, request: bytes, count: int, deadline_s: float) -> Any:
        """Send commands and return their answers; a connection that turns out dead is replaced once.

        Args:
            request: The bytes of one or more commands that only read.
            count: How many answers they have; ONE for a single one outside of a list.
            deadline_s: By when, on the clock of the loop.

        Returns:
            The answer, the list of answers, or the RedisError that came instead.
        """
        stream = self._stream()
        if stream is not None and stream.is_open:
            reply = await stream.ask(request, count, deadline_s)
            if type(reply) is not LostPipelineError:
                return reply
        try:
            return await (await self._connected(deadline_s)).ask(request, count, deadline_s)
        except (RedisError, OSError) as error:
            return self._route.failure(error)

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the connection.

        Args:
            loop: The loop whose it is.
        """
        if (stream := self._stream()) is not None:
            stream.close(loop)

    def let_go(self) -> None:
        """Let go of the connection, in a forked child."""
        if (stream := self._stream()) is not None:
            stream.let_go()

    async def _connected(self, deadline_s: float) -> Pipeline:
        """Return the connection; of all who need a new one at the same time, one makes it."""
        async with asyncio.timeout_at(deadline_s), self._connecting:
            stream = self._stream()
            if stream is None or not stream.is_open:
                self._check()
                stream = await self._greeted(deadline_s)
                self._stream = ref(stream)
            return stream

    async def _greeted(self, deadline_s: float) -> Pipeline:
        """Open a connection, log in, and choose the database."""
        server = self._route.server
        stream = Pipeline(server, *await dial_in_loop(server, self._route.tls))
        greeting, count = self._route.greeting()
        try:
            replies = await stream.ask(greeting, count, deadline_s) if count else []
            for reply in replies if isinstance(replies, list) else [replies]:
                raise_refusal(reply)
        except BaseException:
            stream.close(asyncio.get_running_loop())
            raise
        self._route.opened()
        return stream


class LoopConnections:
    """The lanes of every event loop of this process to one server.

    Args:
        route: The way to the server.
        check: Raises if the server is not to be asked by now.
    """

    __slots__ = ("_check", "_lanes", "_latest", "_lock", "_route")

    def __init__(self, route: Endpoint, check: Callable[[], None]) -> None:
        """Start with no loop."""
        self._route = route
        self._check = check
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._lanes: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopConnection] = WeakKeyDictionary()
        self._latest: tuple[Callable[[], asyncio.AbstractEventLoop | None], LoopConnection | None] = (
            lambda: None,
            None,
        )

    def lane(self, loop: asyncio.AbstractEventLoop) -> LoopConnection:
        """Return the running loop's lane.

        Args:
            loop: The running loop.
        """
        latest, lane = self._latest
        if lane is None or latest() is not loop:
            lane = self._lane_of(loop)
            self._latest = (ref(loop), lane)
        return lane

    def close(self) -> None:
        """Close all connections; those of loops that run are closed by them, a moment later."""
        with self._lock:
            lanes = list(self._lanes.items())
        for loop, lane in lanes:
            _close_in(loop, lane)

    def start_afresh(self) -> None:
        """Let go of all connections, in a forked child."""
        for lane in list(self._lanes.values()):  # without the lock: another thread may have held it
            lane.let_go()
        self._forget()

    def _lane_of(self, loop: asyncio.AbstractEventLoop) -> LoopConnection:
        with self._lock:
            if loop not in self._lanes:
                for ended in [known for known in self._lanes if known.is_closed()]:
                    del self._lanes[ended]
                self._lanes[loop] = LoopConnection(self._route, self._check)
            return self._lanes[loop]


def _close_in(loop: asyncio.AbstractEventLoop, lane: LoopConnection) -> None:
    with contextlib.suppress(RuntimeError):  # a loop that has been closed has closed its connections itself
        loop.call_soon_threadsafe(lane.close, loop)
