"""Counts round trips to Redis: a proxy between a client and the server sees what no timing tells."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

CHUNK_BYTES = 1 << 16


class CountingProxy:
    """Passes bytes between clients and a server, and counts the answers that clients had to wait for.

    A pipeline is one round trip, and so is a script. It counts before it passes an answer on, so that a client that has
    its answer finds it counted.

    Args:
        port: The server's, on the loopback address.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._counting = threading.Lock()
        self.round_trips = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for one in self._sockets:
            _hang_up(one)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
                self._sockets += (client, server)
                _Line(self, client, server)

    def count(self) -> None:
        with self._counting:
            self.round_trips += 1


class _Line:
    """One client's connection: a request is pending from its first byte to the first byte of an answer."""

    def __init__(self, proxy: CountingProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client, self._server = client, server
        self._pending = False
        for pump in (self._pump_requests, self._pump_answers):
            threading.Thread(target=pump, daemon=True).start()

    def _pump_requests(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._client.recv(CHUNK_BYTES):
                self._pending = True
                self._server.sendall(data)
        _hang_up(self._server)

    def _pump_answers(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._server.recv(CHUNK_BYTES):
                if self._pending:
                    self._pending = False
                    self._proxy.count()
                self._client.sendall(data)
        _hang_up(self._client)


def _hang_up(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
