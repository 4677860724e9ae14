"""TLS for connections whose bytes an event loop moves: what comes is deciphered, what goes is enciphered."""

import asyncio
import socket
import ssl
from typing import Final

_PIECE_BYTES: Final = 262_144


class TlsFilter:
    """One side of a TLS connection, apart from its socket.

    Args:
        context: How TLS is made.
        hostname: The name that the server's certificate has to bear.
    """

    def __init__(self, context: ssl.SSLContext, hostname: str) -> None:
        """Prepare; `shake_hands` comes first."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)

    async def shake_hands(self, connected: socket.socket) -> None:
        """Agree with the server on keys.

        Args:
            connected: A socket that does not block.

        Raises:
            OSError: the connection was lost; an ssl.SSLError if the server cannot be trusted.
        """
        loop = asyncio.get_running_loop()
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await loop.sock_sendall(connected, self._outgoing.read())
                data = await loop.sock_recv(connected, _PIECE_BYTES)
                if not data:
                    raise ConnectionResetError("the server closed the connection while TLS began") from None
                self._incoming.write(data)
        await loop.sock_sendall(connected, self._outgoing.read())

    def enciphered(self, data: bytes) -> bytes:
        """Return what has to be sent for these bytes to arrive; also what TLS itself has to say.

        Args:
            data: What to send; may be empty.
        """
        if data:
            self._tls.write(data)
        return self._outgoing.read()

    def deciphered(self, data: bytes) -> bytes:
        """Return the bytes that the server sent, as far as they can be read by now.

        Args:
            data: What was received.

        Raises:
            ConnectionResetError: the server has ended the connection.
            ssl.SSLError: it was tampered with.
        """
        self._incoming.write(data)
        pieces = []
        try:
            while piece := self._tls.read(_PIECE_BYTES):
                pieces.append(piece)
        except ssl.SSLWantReadError:
            return b"".join(pieces)
        except ssl.SSLZeroReturnError:
            pass
        if pieces:  # the end is found again at the next call
            return b"".join(pieces)
        raise ConnectionResetError("the server ended TLS")
