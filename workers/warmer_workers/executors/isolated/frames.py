"""Messages between a worker and its children: two lengths, a header in JSON, and bytes that are passed on."""

import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

_LENGTHS = struct.Struct("!IQ")

MOST_AT_ONCE = 65_536
"""Bytes that are read by one call; payloads of more are sent by a call of their own, cheaper than a copy."""


class Frame(NamedTuple):
    """One message.

    Args:
        header: What it says.
        payload: Bytes that belong to it.
    """

    header: dict[str, Any]
    payload: bytes


class Channel:
    """One end of a stream of messages; for one thread at a time.

    Args:
        stream: The stream, which is closed with this.
        await_readable: Called before each reading from it; returns when that will not block, or raises.

    Example:
        >>> here, there = map(Channel, socket.socketpair())
        >>> here.send({"refs": ["catalog"]}, b"payload")
        >>> there.receive()
        Frame(header={'refs': ['catalog']}, payload=b'payload')
        >>> here.close(), there.receive(), there.close()
        (None, None, None)
    """

    def __init__(self, stream: socket.socket, await_readable: Callable[[], object] = lambda: None) -> None:
        """Start with nothing received."""
        self._stream = stream
        self._await_readable = await_readable
        self._received = bytearray()

    def send(self, header: Mapping[str, Any], payload: bytes = b"") -> None:
        """Send one message.

        Args:
            header: Whatever JSON holds.
            payload: Bytes that belong to it.

        Raises:
            OSError: the other end is gone.
        """
        packed = orjson.dumps(header)
        start = _LENGTHS.pack(len(packed), len(payload)) + packed
        if len(payload) <= MOST_AT_ONCE:
            self._stream.sendall(start + payload)
        else:
            self._stream.sendall(start)
            self._stream.sendall(payload)

    def receive(self) -> Frame | None:
        """Wait for a message and return it; None if the other end is gone.

        Raises:
            BaseException: what `await_readable` raises.
        """
        while (frame := self._taken()) is None:
            self._await_readable()
            try:
                more = self._stream.recv(MOST_AT_ONCE)
            except ConnectionResetError:  # it died without having read what it was sent
                return None
            if not more:
                return None
            self._received += more
        return frame

    def close(self) -> None:
        """Close this end."""
        self._stream.close()

    def _taken(self) -> Frame | None:
        """Take the first message out of what was received, if it is complete."""
        if len(self._received) < _LENGTHS.size:
            return None
        header_bytes, payload_bytes = _LENGTHS.unpack_from(self._received)
        payload_from = _LENGTHS.size + header_bytes
        end = payload_from + payload_bytes
        if len(self._received) < end:
            return None
        with memoryview(self._received) as received:
            frame = Frame(orjson.loads(received[_LENGTHS.size : payload_from]), bytes(received[payload_from:end]))
        del self._received[:end]
        return frame
