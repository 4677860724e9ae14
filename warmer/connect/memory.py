"""Fake Redis servers in this process, for tests without a server."""

from functools import cache
from importlib.resources import files
from typing import Any

from warmer.connect.address import Address
from warmer.errors import SettingsError

_servers: dict[str, Any] = {}


def forget(address: Address) -> None:
    """Drop the server of an address, if there is one; open clients keep it, new ones get an empty one."""
    _servers.pop(address.service, None)


def client_in_memory(address: Address) -> Any:
    """Open a client of the server in memory that the address names; the first client creates it.

    Args:
        address: Clients with the same `service` share their data.

    Returns:
        A `redis.Redis` that answers in bytes.

    Raises:
        SettingsError: the required packages are not installed.

    Example:
        >>> client = client_in_memory(Address.parse("memory://orders"))
        >>> client.set("answer", 42), client_in_memory(Address.parse("memory://orders")).get("answer")
        (True, b'42')
    """
    try:
        import lupa  # type: ignore[import-not-found, import-untyped, unused-ignore]  # noqa: F401
        from fakeredis import FakeServer, FakeStrictRedis
    except ImportError as error:
        raise SettingsError(
            f"memory:// is for tests and needs more packages ({error}): pip install 'warmer[testing]'"
        ) from error

    class Client(FakeStrictRedis):  # adds to each script the Lua functions that fakeredis lacks
        def register_script(self, script: Any) -> Any:
            return super().register_script(_missing_functions() + script)

    if address.service not in _servers:
        _servers.setdefault(address.service, FakeServer(version=(7, 0)))
    client = Client(server=_servers[address.service], db=address.db, protocol=2)
    # fakeredis does not report a version to RQ, which would then fetch jobs in a way that can lose them.
    setattr(client, "__rq_redis_server_version", (7, 0, 0))
    return client


@cache
def _missing_functions() -> str:
    """Return the Lua functions that servers provide to scripts and fakeredis does not."""
    return (files("warmer.connect") / "memory.lua").read_text(encoding="utf-8")
