"""One blocking connection, and the exchange of commands and replies on it."""

import contextlib
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Final

from warmer.wire.resp import InvalidReplyError, Reply, ReplyParser
from warmer.wire.sockets import remaining_s

CHUNK_BYTES: Final = 131_008
"""Bytes received at once: just below the size from which malloc maps memory from the kernel for each buffer."""

MAX_CHUNK_BYTES: Final = 4_194_304


class Connection:
    """A connected socket.

    Args:
        connected: The socket; the connection owns it from now on.
        timeout_s: Time limit of `send` and `receive`.
    """

    __slots__ = ("__weakref__", "_socket", "_timeout_s", "receive", "send")

    def __init__(self, connected: socket.socket, timeout_s: float) -> None:
        """Set the socket's time limit."""
        connected.settimeout(timeout_s)
        self._socket = connected
        self._timeout_s = timeout_s
        self.send = connected.send
        self.receive = connected.recv

    def __del__(self) -> None:
        """Close the socket when nothing refers to it, as after an interrupt."""
        self._socket.close()

    def close(self) -> None:
        """Close the socket; never raises."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def send_all(self, request: bytes, deadline_s: float) -> None:
        """Send a request of any length.

        Args:
            request: The bytes of one or more commands.
            deadline_s: On the clock of `time.monotonic`.

        Raises:
            OSError: it could not be sent; a TimeoutError if not in time.
        """
        self._socket.settimeout(remaining_s(deadline_s))
        self._socket.sendall(request)

    def replies(self, count: int, deadline_s: float, received: bytes = b"") -> list[Reply]:
        """Receive replies; one deadline covers all of them.

        Args:
            count: The number of replies.
            deadline_s: On the clock of `time.monotonic`.
            received: The bytes of the replies that have been received already.

        Raises:
            InvalidReplyError: they are not RESP2, or there are more than `count`.
            OSError: they did not come; a TimeoutError if not in time.
        """
        parser = ReplyParser()
        replies = parser.feed(received)
        while len(replies) < count:
            replies += parser.feed(self._receive_more(parser.missing_bytes, deadline_s))
        if len(replies) > count or not parser.is_between_replies:
            raise InvalidReplyError(f"expected {count} replies, got more")
        self._socket.settimeout(self._timeout_s)
        return replies

    def _receive_more(self, missing_bytes: int, deadline_s: float) -> bytes:
        """Receive until the deadline; bytes that came in time count even if this thread runs later."""
        self._socket.settimeout(max(deadline_s - time.monotonic(), 0))
        try:
            data = self.receive(min(max(CHUNK_BYTES, missing_bytes), MAX_CHUNK_BYTES))
        except (BlockingIOError, ssl.SSLWantReadError):
            raise TimeoutError("the deadline has passed") from None
        if not data:
            raise ConnectionResetError("the server closed the connection")
        return data


@dataclass(slots=True)
class Exchange:
    """Commands that were sent and wait for their replies.

    Args:
        connection: The connection.
        is_reused: Whether it was idle before, so that the server may have closed it.
        request: The bytes of the commands.
        count: The number of their replies.
    """

    connection: Connection
    is_reused: bool
    request: bytes
    count: int
