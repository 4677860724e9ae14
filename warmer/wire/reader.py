"""The interface of cache reads, and the choice of the reader that fits an address."""

from collections.abc import Sequence
from typing import Protocol

from warmer.connect.address import Address
from warmer.connect.memory import client_in_memory
from warmer.connect.topology import Topology
from warmer.wire.memory_reader import MemoryReader
from warmer.wire.multi_get import Found
from warmer.wire.resp import Value
from warmer.wire.wire_reader import WireReader


class Reader(Protocol):
    """Reads values of keys from threads and coroutines, in this process and in forked children."""

    def get(self, key: str) -> Value:
        """Return the value of a key.

        Returns:
            Its bytes, or a memoryview of a long value; None if it has no value.

        Raises:
            redis.RedisError: its server is unavailable, did not answer in time, or rejected the command.
        """
        ...

    def get_many(self, keys: Sequence[str]) -> list[Found]:
        """Return the values of keys, in their order; `UNAVAILABLE` for those whose server is unavailable.

        Raises:
            redis.ResponseError: a server rejected the command.
        """
        ...

    async def aget(self, key: str) -> Value:
        """Like `get`, without blocking the loop."""
        ...

    async def aget_many(self, keys: Sequence[str]) -> list[Found]:
        """Like `get_many`, without blocking the loop."""
        ...

    def is_unavailable(self, key: str) -> bool:
        """Whether the server of a key is known to be unavailable; sends nothing."""
        ...

    def report(self, key: str, error: BaseException, took_s: float = 0.0) -> None:
        """Report that another command on a key's server has failed.

        Args:
            key: The key.
            error: The error of the command.
            took_s: How long it took until it failed.
        """
        ...

    def close(self) -> None:
        """Close all connections; running loops close theirs a moment later."""
        ...


def open_reader(url: str, timeout_s: float) -> Reader:
    """Return the reader for an address; nothing is sent yet.

    Args:
        url: An address that `Address.parse` understands.
        timeout_s: Time limit of a read, including a new connection.

    Raises:
        SettingsError: the address cannot be used.

    Example:
        >>> reader = open_reader("memory://reads", timeout_s=0.25)
        >>> reader.get("nothing") is None
        True
    """
    address = Address.parse(url)
    if address.kind == "memory":
        return MemoryReader(client_in_memory(address))
    return WireReader(address, Topology.of(address, timeout_s), timeout_s)
