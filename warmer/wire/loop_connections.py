"""Connections of event loops to one server: each loop has one, opened at its first read and replaced when it is lost.

Only the loop itself holds its connection, which closes together with the loop. Nothing here keeps a loop alive.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, ref

from redis.exceptions import RedisError

from warmer.wire.endpoint import Endpoint
from warmer.wire.pipeline import LostPipelineError, Pipeline
from warmer.wire.resp import raise_rejection
from warmer.wire.sockets import open_socket_in_loop


class LoopConnection:
    """One loop's connection to one server.

    Args:
        endpoint: How to connect.
        check_available: Raises a RedisError if the server is unavailable by now.
    """

    __slots__ = ("_check_available", "_connecting", "_endpoint", "_pipeline")

    def __init__(self, endpoint: Endpoint, check_available: Callable[[], None]) -> None:
        """Open no connection yet."""
        self._endpoint = endpoint
        self._check_available = check_available
        self._connecting = asyncio.Lock()
        self._pipeline: Callable[[], Pipeline | None] = lambda: None  # a weak reference: only the loop holds it

    async def execute(self, request: bytes, count: int, deadline_s: float) -> Any:
        """Send commands and return their replies; a lost connection is replaced once. See `Pipeline.execute`.

        Returns:
            The reply, the list of replies, or a RedisError.
        """
        pipeline = self._pipeline()
        if pipeline is not None and pipeline.is_open:
            reply = await pipeline.execute(request, count, deadline_s)
            if type(reply) is not LostPipelineError:
                return reply
        try:
            return await (await self._connected(deadline_s)).execute(request, count, deadline_s)
        except (RedisError, OSError) as error:
            return self._endpoint.as_redis_error(error)

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the connection.

        Args:
            loop: The loop that it belongs to.
        """
        if (pipeline := self._pipeline()) is not None:
            pipeline.close(loop)

    def detach(self) -> None:
        """Drop the connection in a forked child; see `Pipeline.detach`."""
        if (pipeline := self._pipeline()) is not None:
            pipeline.detach()

    async def _connected(self, deadline_s: float) -> Pipeline:
        """Return an open connection; concurrent reads that need a new one share it."""
        async with asyncio.timeout_at(deadline_s), self._connecting:
            pipeline = self._pipeline()
            if pipeline is None or not pipeline.is_open:
                self._check_available()
                pipeline = await self._open(deadline_s)
                self._pipeline = ref(pipeline)
            return pipeline

    async def _open(self, deadline_s: float) -> Pipeline:
        """Connect, log in and select the database."""
        server = self._endpoint.server
        pipeline = Pipeline(server, *await open_socket_in_loop(server, self._endpoint.tls))
        request, count = self._endpoint.handshake()
        try:
            replies = await pipeline.execute(request, count, deadline_s) if count else []
            for reply in replies if isinstance(replies, list) else [replies]:
                raise_rejection(reply)
        except BaseException:
            pipeline.close(asyncio.get_running_loop())
            raise
        self._endpoint.on_connected()
        return pipeline


class LoopConnections:
    """The connections of all event loops of this process to one server.

    Args:
        endpoint: How to connect.
        check_available: Raises a RedisError if the server is unavailable by now.
    """

    __slots__ = ("_by_loop", "_check_available", "_endpoint", "_latest", "_lock")

    def __init__(self, endpoint: Endpoint, check_available: Callable[[], None]) -> None:
        """Start with no loop."""
        self._endpoint = endpoint
        self._check_available = check_available
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopConnection] = WeakKeyDictionary()
        self._latest: tuple[Callable[[], asyncio.AbstractEventLoop | None], LoopConnection | None] = (
            lambda: None,
            None,
        )

    def of(self, loop: asyncio.AbstractEventLoop) -> LoopConnection:
        """Return the connection of the running loop."""
        latest, connection = self._latest
        if connection is None or latest() is not loop:
            connection = self._find(loop)
            self._latest = (ref(loop), connection)
        return connection

    def close(self) -> None:
        """Close all connections; running loops close theirs a moment later."""
        with self._lock:
            connections = list(self._by_loop.items())
        for loop, connection in connections:
            with contextlib.suppress(RuntimeError):  # a closed loop has closed its connection itself
                loop.call_soon_threadsafe(connection.close, loop)

    def reset_after_fork(self) -> None:
        """Drop all connections in a forked child."""
        for connection in list(self._by_loop.values()):  # without the lock: a thread of the parent may have held it
            connection.detach()
        self._forget()

    def _find(self, loop: asyncio.AbstractEventLoop) -> LoopConnection:
        with self._lock:
            if loop not in self._by_loop:
                for closed in [known for known in self._by_loop if known.is_closed()]:
                    del self._by_loop[closed]
                self._by_loop[loop] = LoopConnection(self._endpoint, self._check_available)
            return self._by_loop[loop]
