"""Opens sockets to servers, by a deadline and not later: name look-up, connection and TLS handshake together."""

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

Place: TypeAlias = tuple[int, Any]
"""An address family, and a socket's address in it."""


def remaining_s(deadline_s: float) -> float:
    """Return the seconds until a deadline.

    Args:
        deadline_s: On the clock of `time.monotonic`.

    Raises:
        TimeoutError: it has passed.

    Example:
        >>> 0 < remaining_s(time.monotonic() + 1) <= 1
        True
    """
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the time for it is over")
    return left_s


def dial(server: Server, tls: ssl.SSLContext | None, deadline_s: float) -> socket.socket:
    """Open a connection.

    Args:
        server: To which server.
        tls: What to encrypt it with; None for a plain one.
        deadline_s: Until when, on the clock of `time.monotonic`.

    Returns:
        A connected socket.

    Raises:
        OSError: it cannot be reached; a TimeoutError if not in time.
    """
    failure: OSError = OSError("its name stands for no address")
    for place in known_places(server) or _looked_up(server, deadline_s):
        try:
            return _dialled(place, server, tls, deadline_s)
        except OSError as error:
            failure = error
    raise failure


def known_places(server: Server) -> list[Place]:
    """Return where a server is, if that needs no look-up of a name: else nothing.

    Args:
        server: A path, or a host and port.

    Example:
        >>> known_places(Server("127.0.0.1", 6379))[0][1]
        ('127.0.0.1', 6379)
        >>> known_places(Server("redis.example", 6379))
        []
    """
    if server.path:
        return [(socket.AF_UNIX, server.path)]
    with contextlib.suppress(OSError):
        found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        return [(family, place) for family, _, _, _, place in found]
    return []


def opened(family: int) -> socket.socket:
    """Return an unconnected socket with the options that reads want.

    Args:
        family: Such as `socket.AF_INET`.

    Example:
        >>> with opened(socket.AF_INET) as unconnected:
        ...     unconnected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) > 0
        True
    """
    made = socket.socket(family, socket.SOCK_STREAM)
    if family != socket.AF_UNIX:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return made


def _dialled(place: Place, server: Server, tls: ssl.SSLContext | None, deadline_s: float) -> socket.socket:
    family, where = place
    made = opened(family)
    try:
        made.settimeout(remaining_s(deadline_s))
        made.connect(where)
        if tls is not None:
            made.settimeout(remaining_s(deadline_s))
            made = tls.wrap_socket(made, server_hostname=server.host)
    except BaseException:
        made.close()
        raise
    return made


def _looked_up(server: Server, deadline_s: float) -> list[Place]:
    """Look a name up in a thread of its own: the system's resolver knows no deadline."""
    answers: queue.SimpleQueue[list[Place] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
            answers.put([(family, place) for family, _, _, _, place in found])
        except OSError as error:
            answers.put(error)

    try:
        threading.Thread(target=look_up, name="warmer-look-up", daemon=True).start()
    except RuntimeError:  # the interpreter is about to end, or the system allows no more threads
        look_up()
    try:
        answer = answers.get(timeout=remaining_s(deadline_s))
    except queue.Empty:
        raise TimeoutError(f"the name {server.host} was not looked up in time") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


async def dial_in_loop(server: Server, tls: ssl.SSLContext | None) -> tuple[socket.socket, TlsFilter | None]:
    """Open a connection without blocking the running event loop.

    Args:
        server: To which server.
        tls: What to encrypt it with; None for a plain one.

    Returns:
        A connected socket that does not block, and what to pass its bytes through.

    Raises:
        OSError: it cannot be reached.
    """
    failure: OSError = OSError("its name stands for no address")
    for place in known_places(server) or await _looked_up_in_loop(server):
        try:
            return await _dialled_in_loop(place, server, tls)
        except OSError as error:
            failure = error
    raise failure


async def _dialled_in_loop(
    place: Place, server: Server, tls: ssl.SSLContext | None
) -> tuple[socket.socket, TlsFilter | None]:
    family, where = place
    made = opened(family)
    try:
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, where)
        if tls is None:
            return made, None
        encryption = TlsFilter(tls, server.host)
        await encryption.shake_hands(made)
    except BaseException:
        made.close()
        raise
    return made, encryption


async def _looked_up_in_loop(server: Server) -> list[Place]:
    found = await asyncio.get_running_loop().getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    return [(family, place) for family, _, _, _, place in found]
