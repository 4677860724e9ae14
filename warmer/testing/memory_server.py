"""Redis servers in memory that follow a manual clock, for TIME, for scripts and for the expiry of keys.

They are fakeredis servers; only the server of one test is changed, and fakeredis itself is not patched.
"""

from collections import defaultdict
from typing import Any

from warmer.connect import memory
from warmer.connect.address import Address
from warmer.errors import SettingsError
from warmer.testing.manual_clock import ManualClock


def server_at(url: str, clock: ManualClock) -> Any:
    """Return the server at a ``memory://`` address; it follows this clock.

    Args:
        url: The address; a server that does not exist is created.
        clock: The clock of the server.

    Raises:
        SettingsError: the address is not in memory, the server follows another clock, or the installed fakeredis
            cannot follow a manual clock.
    """
    address = Address.parse(url)
    if address.kind != "memory":
        raise SettingsError(f"a MemoryWarmer needs an address memory://name, got one of the kind {address.kind!r}")
    client = memory.client_in_memory(address)
    server = client.connection_pool.connection_kwargs["server"]
    if getattr(server, "clock", None) is None:
        _follow(server, clock)
        _check_that_it_follows(client, clock)
    if server.clock is not clock:
        raise SettingsError(f"the server at {url} follows another clock; pass the clock of the Warmer that made it")
    return server


def forget(url: str) -> None:
    """Drop the server at a ``memory://`` address: open clients keep it, new ones find an empty one."""
    memory.forget(Address.parse(url))


def _follow(server: Any, clock: ManualClock) -> None:
    """Make a server that has no data and no connections yet follow a clock."""
    clocked = _clocked_database(type(server.dbs[0]), clock)
    server.dbs = defaultdict(lambda: clocked(server.lock))
    server.sockets = _ClockedSockets(clock)
    server.clock = clock


def _clocked_database(base: type[Any], clock: ManualClock) -> Any:
    """Return a class of databases whose keys expire by the clock; the time that fakeredis sets is ignored."""
    time = property(lambda database: clock.now_us() / 1e6, lambda database, host_time_s: None)
    return type("ClockedDatabase", (base,), {"time": time})


class _ClockedSockets(list[Any]):
    """The connections of a server; each answers TIME by the clock."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def append(self, socket: Any) -> None:
        """Add a new connection, and replace its TIME."""
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
            "the installed fakeredis cannot follow a manual clock; install a version that warmer was tested with: "
            "pip install 'warmer[testing]'"
        )
