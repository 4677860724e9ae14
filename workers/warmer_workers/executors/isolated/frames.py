"""Framing of messages between a worker and its children: two lengths, a JSON header, and a payload of bytes."""

import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

_LENGTHS = struct.Struct("!IQ")

MAX_CHUNK_BYTES = 65_536
"""Bytes that one call reads; a larger payload is sent by a separate call, which is cheaper than a copy."""


class Frame(NamedTuple):
    """One message.

    Args:
        header: The fields of the message.
        payload: The bytes after it.
    """

    header: dict[str, Any]
    payload: bytes


class Channel:
    """One end of a stream of messages; for one thread at a time.

    Args:
        stream: The stream; `close` closes it.
        await_readable: Called before each read; returns when a read will not block, or raises.

    Example:
        >>> here, there = map(Channel, socket.socketpair())
        >>> here.send({"refs": ["catalog"]}, b"payload")
        >>> there.receive()
        Frame(header={'refs': ['catalog']}, payload=b'payload')
        >>> here.close(), there.receive(), there.close()
        (None, None, None)
    """

    def __init__(self, stream: socket.socket, await_readable: Callable[[], object] = lambda: None) -> None:
        self._stream = stream
        self._await_readable = await_readable
        self._received = bytearray()

    def send(self, header: Mapping[str, Any], payload: bytes = b"") -> None:
        """Send one message.

        Args:
            header: The fields, of JSON types.
            payload: The bytes after it.

        Raises:
            OSError: the other end is gone.
        """
        packed = orjson.dumps(header)
        start = _LENGTHS.pack(len(packed), len(payload)) + packed
        if len(payload) <= MAX_CHUNK_BYTES:
            self._stream.sendall(start + payload)
        else:
            self._stream.sendall(start)
            self._stream.sendall(payload)

    def receive(self) -> Frame | None:
        """Wait for a message and return it; None if the other end is gone.

        Raises:
            BaseException: the error of `await_readable`.
        """
        while (frame := self._next_frame()) is None:
            self._await_readable()
            try:
                more = self._stream.recv(MAX_CHUNK_BYTES)
            except ConnectionResetError:  # the other end died with unread messages
                return None
            if not more:
                return None
            self._received += more
        return frame

    def close(self) -> None:
        """Close this end."""
        self._stream.close()

    def _next_frame(self) -> Frame | None:
        """Remove the first message from the buffer and return it, if it is complete."""
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
