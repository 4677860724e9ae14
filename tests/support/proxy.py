"""A proxy that delays, trickles, stalls and cuts, one that takes off TLS, and a server that answers as it is told."""

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Self

from tests.support.certificates import AUTHORITY, CERTIFICATE, KEY

HOST = "127.0.0.1"


class CutError(ConnectionError):
    """Ends the one connection whose fault raises it."""


class _Listener:
    """Accepts connections, each served by a thread, until the test is over."""

    def __init__(self) -> None:
        self._listening = socket.create_server((HOST, 0))
        self.port = int(self._listening.getsockname()[1])
        self.url = f"redis://{HOST}:{self.port}"
        self._open: list[socket.socket] = []
        self.accepted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self.accepted += 1
                self._open.append(client)
                threading.Thread(target=self._serve_quietly, args=(client,), daemon=True).start()

    def _serve_quietly(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            self.serve(client)

    def serve(self, client: socket.socket) -> None:
        raise NotImplementedError

    def cut(self) -> None:
        """Reset every connection."""
        for connection in self._open[:]:
            _end(connection)
            self._open.remove(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()


class Proxy(_Listener):
    """Passes bytes on to a server; `fault` says what becomes of each piece of an answer, and cuts by `CutError`.

    Args:
        port: The server's port.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self.fault: Callable[[bytes], Iterator[bytes]] = lambda piece: iter([piece])
        self.flowing = threading.Event()
        self.flowing.set()
        super().__init__()

    def serve(self, client: socket.socket) -> None:
        with socket.create_connection((HOST, self._server_port)) as server:
            threading.Thread(target=self._pass_requests, args=(client, server), daemon=True).start()
            try:
                while piece := server.recv(65536):
                    for part in self.fault(piece):
                        self.flowing.wait()
                        client.sendall(part)
            finally:
                _end(client)
                _end(server)

    def _pass_requests(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := client.recv(65536):
                server.sendall(piece)
        _end(server)


class TlsProxy(_Listener):
    """Takes TLS off before a server, which then may be built without it.

    Args:
        port: The server's port.
        asks_for_certificates: Whether clients have to show one that the tests' authority signed.
    """

    def __init__(self, port: int, asks_for_certificates: bool = False) -> None:
        self._server_port = port
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=AUTHORITY)
        self._tls.load_cert_chain(CERTIFICATE, KEY)
        if asks_for_certificates:
            self._tls.verify_mode = ssl.CERT_REQUIRED
        super().__init__()

    def serve(self, client: socket.socket) -> None:
        with (
            self._tls.wrap_socket(client.dup(), server_side=True) as encrypted,
            socket.create_connection((HOST, self._server_port)) as server,
        ):
            while True:  # one thread for both ways: OpenSSL's connections are not to be shared
                for readable in select.select([encrypted, server], [], [])[0]:
                    _pass_on(*((encrypted, server) if readable is encrypted else (server, encrypted)))


class Scripted(_Listener):
    """Answers each piece that it receives as the test says; an answer of None ends the connection.

    Args:
        answer: Gets what was received.
    """

    def __init__(self, answer: Callable[[bytes], bytes | None]) -> None:
        self.answer = answer
        super().__init__()

    def send(self, data: bytes) -> None:
        """Send something unasked to every client."""
        for connection in self._open:
            connection.sendall(data)

    def serve(self, client: socket.socket) -> None:
        while piece := client.recv(65536):
            answer = self.answer(piece)
            if answer is None:
                return
            client.sendall(answer)


def trickle(pause_s: float) -> Callable[[bytes], Iterator[bytes]]:
    """Let bytes through one by one."""

    def fault(piece: bytes) -> Iterator[bytes]:
        for byte in piece:
            time.sleep(pause_s)
            yield bytes([byte])

    return fault


def _pass_on(giver: socket.socket, taker: socket.socket) -> None:
    piece = giver.recv(65536)  # more than TLS has in one record, so that none of it is left unseen
    if not piece:
        raise CutError
    taker.sendall(piece)


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
