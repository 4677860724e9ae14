"""Reader for `memory://`: reads through a redis-py client of a server in this process."""

from collections.abc import Sequence
from typing import Any

from warmer.wire.multi_get import Found
from warmer.wire.resp import Value


class MemoryReader:
    """A `Reader` whose server is always available; its methods are documented there.

    Args:
        client: A `redis.Redis` that answers in bytes.

    Example:
        >>> from warmer.connect.address import Address
        >>> from warmer.connect.memory import client_in_memory
        >>> MemoryReader(client_in_memory(Address.parse("memory://memory-reader"))).get_many(["a", "b"])
        [None, None]
    """

    def __init__(self, client: Any) -> None:
        """Take ownership of the client."""
        self._client = client

    def get(self, key: str) -> Value:
        """Return the value of a key."""
        found: Value = self._client.get(key)
        return found

    def get_many(self, keys: Sequence[str]) -> list[Found]:
        """Return the values of keys, in their order."""
        return list(self._client.mget(keys)) if keys else []

    async def aget(self, key: str) -> Value:
        """Return the value of a key."""
        return self.get(key)

    async def aget_many(self, keys: Sequence[str]) -> list[Found]:
        """Return the values of keys, in their order."""
        return self.get_many(keys)

    def is_unavailable(self, key: str) -> bool:
        """Return False."""
        return False

    def report(self, key: str, error: BaseException, took_s: float = 0.0) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Close the client."""
        self._client.close()
