"""Servers in the memory of this process that go by a test's clock, each by its own."""

from collections import defaultdict
from typing import Any

from warmer.connect import memory
from warmer.connect.address import Address
from warmer.errors import SettingsError
from warmer.testing.manual_clock import ManualClock


def server_at(url: str, clock: ManualClock) -> Any:
    """Return the server at a ``memory://`` address, going by a clock: its TIME, in scripts too, and when keys expire.

    Nothing is patched but this one server.

    Args:
        url: Its address; a server that is not there yet begins.
        clock: What it goes by from now on.

    Raises:
        SettingsError: the address is none in memory, the server goes by another clock, or the installed fakeredis
            cannot be made to go by one.

    Example:
        >>> clock = ManualClock(start_s=1_000)
        >>> server_at("memory://by-the-clock", clock).clock is clock
        True
        >>> forget("memory://by-the-clock")
    """
    address = Address.parse(url)
    if address.kind != "memory":
        raise SettingsError(f"a MemoryWarmer lives at memory://name, got an address of the kind {address.kind!r}")
    client = memory.client_in_memory(address)
    server = client.connection_pool.connection_kwargs["server"]
    if getattr(server, "clock", None) is None:
        _follow(server, clock)
        _check_that_it_follows(client, clock)
    if server.clock is not clock:
        raise SettingsError(f"the server at {url} goes by another clock; pass the clock of the Warmer that made it")
    return server


def forget(url: str) -> None:
    """Let go of the server at a ``memory://`` address: clients that are open keep it, new ones find an empty one.

    Example:
        >>> forget("memory://nobody-made-this")
    """
    memory.forget(Address.parse(url))


def _follow(server: Any, clock: ManualClock) -> None:
    """Have a server without data and without connections go by a clock."""
    clocked = _clocked_database(type(server.dbs[0]), clock)
    server.dbs = defaultdict(lambda: clocked(server.lock))
    server.sockets = _ClockedSockets(clock)
    server.clock = clock


def _clocked_database(base: type[Any], clock: ManualClock) -> Any:
    """Return a class of databases that find what has expired by the clock, whatever time they are told."""
    time = property(lambda database: clock.now_us() / 1e6, lambda database, host_time_s: None)
    return type("ClockedDatabase", (base,), {"time": time})


class _ClockedSockets(list[Any]):
    """The connections of a server: each answers TIME by the clock.

    Args:
        clock: What they go by.
    """

    def __init__(self, clock: ManualClock) -> None:
        """Start without any."""
        super().__init__()
        self._clock = clock

    def append(self, socket: Any) -> None:
        """Take a new connection in."""
        socket.time = self._time
        super().append(socket)

    def _time(self) -> list[bytes]:
        seconds, micros = divmod(self._clock.now_us(), 1_000_000)
        return [str(seconds).encode(), str(micros).encode()]


def _check_that_it_follows(client: Any, clock: ManualClock) -> None:
    seconds, micros = client.time()
    client.set("warmer:expires", b"", px=1)
    expires_at_ms = client.pexpiretime("warmer:expires")
    client.delete("warmer:expires")
    now_us = clock.now_us()
    if seconds * 1_000_000 + micros != now_us or abs(expires_at_ms - now_us // 1000) > 2:
        raise SettingsError(
            "the installed fakeredis cannot go by a manual clock; install one that warmer was tested with: "
            "pip install 'warmer[testing]'"
        )
