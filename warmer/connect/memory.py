"""Servers in the memory of this process, for tests that shall need none."""

from functools import cache
from importlib.resources import files
from typing import Any

from warmer.connect.address import Address
from warmer.errors import SettingsError

_servers: dict[str, Any] = {}


def forget(address: Address) -> None:
    """Let go of a server: clients that are open keep it, new ones find an empty one.

    Args:
        address: Whose `service` names the server; one that there is none of is no error.
    """
    _servers.pop(address.service, None)


def client_in_memory(address: Address) -> Any:
    """Open a client for a server in this process's memory, which begins with its first client.

    Args:
        address: Whose `service` names the server; clients of one name share their data.

    Returns:
        A `redis.Redis` that answers in bytes.

    Raises:
        SettingsError: the packages for it are not installed.

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

    class Client(FakeStrictRedis):  # what servers offer to scripts, and fakeredis does not, goes before each
        def register_script(self, script: Any) -> Any:
            return super().register_script(_missing() + script)

    if address.service not in _servers:
        _servers.setdefault(address.service, FakeServer(version=(7, 0)))
    client = Client(server=_servers[address.service], db=address.db, protocol=2)
    # RQ asks INFO for the version; as this server does not answer that, it would take jobs in a way that loses them.
    setattr(client, "__rq_redis_server_version", (7, 0, 0))
    return client


@cache
def _missing() -> str:
    """Return what goes before each script: functions that servers offer to scripts, and fakeredis does not."""
    return (files("warmer.connect") / "memory.lua").read_text(encoding="utf-8")
