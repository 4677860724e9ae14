"""TLS without a socket, for event loops: encrypts what is sent and decrypts what is received."""

import asyncio
import socket
import ssl
from typing import Final

_CHUNK_BYTES: Final = 262_144


class TlsFilter:
    """Client side of one TLS connection; `handshake` comes first.

    Args:
        context: Settings for TLS.
        hostname: The name that the server's certificate must have.
    """

    def __init__(self, context: ssl.SSLContext, hostname: str) -> None:
        """Prepare the handshake."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)

    async def handshake(self, connected: socket.socket) -> None:
        """Agree on keys with the server.

        Args:
            connected: A non-blocking socket.

        Raises:
            OSError: the connection was lost; an ssl.SSLError if the certificate is not accepted.
        """
        loop = asyncio.get_running_loop()
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await loop.sock_sendall(connected, self._outgoing.read())
                data = await loop.sock_recv(connected, _CHUNK_BYTES)
                if not data:
                    raise ConnectionResetError("the server closed the connection during the TLS handshake") from None
                self._incoming.write(data)
        await loop.sock_sendall(connected, self._outgoing.read())

    def encrypt(self, data: bytes) -> bytes:
        """Encrypt bytes; the result includes pending records of TLS itself, even for empty data."""
        if data:
            self._tls.write(data)
        return self._outgoing.read()

    def decrypt(self, data: bytes) -> bytes:
        """Decrypt received bytes, as far as their records are complete.

        Raises:
            ConnectionResetError: the server has ended TLS.
            ssl.SSLError: the bytes are not valid TLS.
        """
        self._incoming.write(data)
        chunks = []
        try:
            while chunk := self._tls.read(_CHUNK_BYTES):
                chunks.append(chunk)
        except ssl.SSLWantReadError:
            return b"".join(chunks)
        except ssl.SSLZeroReturnError:
            pass
        if chunks:  # the next call finds the end again
            return b"".join(chunks)
        raise ConnectionResetError("the server ended TLS")
