"""Opens sockets by a deadline that covers name resolution, connection and TLS handshake."""

import asyncio
import contextlib
import queue
import socket
import ssl
import threading
import time
from typing import Any, TypeAlias

from warmer.connect.address import Server
from warmer.wire.tls import TlsFilter

SocketAddress: TypeAlias = tuple[int, Any]
"""An address family, and a socket's address in it."""


def remaining_s(deadline_s: float) -> float:
    """Return the seconds until a deadline on the clock of `time.monotonic`.

    Raises:
        TimeoutError: it has passed.
    """
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the deadline has passed")
    return left_s


def open_socket(server: Server, tls: ssl.SSLContext | None, deadline_s: float) -> socket.socket:
    """Open a connection to a server.

    Args:
        server: The server.
        tls: Settings for TLS; None for a plain connection.
        deadline_s: On the clock of `time.monotonic`.

    Returns:
        A connected socket.

    Raises:
        OSError: the server cannot be reached; a TimeoutError if not in time.
    """
    failure: OSError = OSError("its name has no address")
    for address in numeric_addresses(server) or _resolve(server, deadline_s):
        try:
            return _open_at(address, server, tls, deadline_s)
        except OSError as error:
            failure = error
    raise failure


def numeric_addresses(server: Server) -> list[SocketAddress]:
    """Return the addresses of a server that needs no name resolution; an empty list if it needs one.

    Example:
        >>> numeric_addresses(Server("127.0.0.1", 6379))[0][1]
        ('127.0.0.1', 6379)
        >>> numeric_addresses(Server("redis.example", 6379))
        []
    """
    if server.path:
        return [(socket.AF_UNIX, server.path)]
    with contextlib.suppress(OSError):
        found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        return [(family, address) for family, _, _, _, address in found]
    return []


def new_socket(family: int) -> socket.socket:
    """Return an unconnected socket of an address family, without Nagle's delay and with keep-alive."""
    opened = socket.socket(family, socket.SOCK_STREAM)
    if family != socket.AF_UNIX:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return opened


def _open_at(address: SocketAddress, server: Server, tls: ssl.SSLContext | None, deadline_s: float) -> socket.socket:
    family, place = address
    opened = new_socket(family)
    try:
        opened.settimeout(remaining_s(deadline_s))
        opened.connect(place)
        if tls is not None:
            opened.settimeout(remaining_s(deadline_s))
            opened = tls.wrap_socket(opened, server_hostname=server.host)
    except BaseException:
        opened.close()
        raise
    return opened


def _resolve(server: Server, deadline_s: float) -> list[SocketAddress]:
    """Resolve a name in a separate thread, because the system's resolver takes no deadline."""
    answers: queue.SimpleQueue[list[SocketAddress] | OSError] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
            answers.put([(family, address) for family, _, _, _, address in found])
        except OSError as error:
            answers.put(error)

    try:
        threading.Thread(target=resolve, name="warmer-resolver", daemon=True).start()
    except RuntimeError:  # the interpreter is shutting down, or the system allows no more threads
        resolve()
    try:
        answer = answers.get(timeout=remaining_s(deadline_s))
    except queue.Empty:
        raise TimeoutError(f"the name {server.host} was not resolved in time") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


async def open_socket_in_loop(server: Server, tls: ssl.SSLContext | None) -> tuple[socket.socket, TlsFilter | None]:
    """Open a connection without blocking the running event loop; the caller sets the deadline.

    Args:
        server: The server.
        tls: Settings for TLS; None for a plain connection.

    Returns:
        A connected non-blocking socket, and the TLS filter for its bytes.

    Raises:
        OSError: the server cannot be reached.
    """
    failure: OSError = OSError("its name has no address")
    for address in numeric_addresses(server) or await _resolve_in_loop(server):
        try:
            return await _open_at_in_loop(address, server, tls)
        except OSError as error:
            failure = error
    raise failure


async def _open_at_in_loop(
    address: SocketAddress, server: Server, tls: ssl.SSLContext | None
) -> tuple[socket.socket, TlsFilter | None]:
    family, place = address
    opened = new_socket(family)
    try:
        opened.setblocking(False)
        await asyncio.get_running_loop().sock_connect(opened, place)
        if tls is None:
            return opened, None
        encryption = TlsFilter(tls, server.host)
        await encryption.handshake(opened)
    except BaseException:
        opened.close()
        raise
    return opened, encryption


async def _resolve_in_loop(server: Server) -> list[SocketAddress]:
    found = await asyncio.get_running_loop().getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]
