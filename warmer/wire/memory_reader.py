"""Reads through a client of redis-py, for servers in the memory of this process."""

from collections.abc import Sequence
from typing import Any

from warmer.wire.multi_get import Found
from warmer.wire.resp import Value


class MemoryReader:
    """Reads through a client; it is never away, and its answers are there at once.

    Args:
        client: A `redis.Redis` that answers in bytes.

    Example:
        >>> from warmer.connect.address import Address
        >>> from warmer.connect.memory import client_in_memory
        >>> MemoryReader(client_in_memory(Address.parse("memory://clientreads"))).get_many(["a", "b"])
        [None, None]
    """

    def __init__(self, client: Any) -> None:
        """Take the client over."""
        self._client = client

    def get(self, key: str) -> Value:
        """Return what a key holds."""
        found: Value = self._client.get(key)
        return found

    def get_many(self, keys: Sequence[str]) -> list[Found]:
        """Return what keys hold, in their order."""
        return list(self._client.mget(keys)) if keys else []

    async def aget(self, key: str) -> Value:
        """Return what a key holds."""
        return self.get(key)

    async def aget_many(self, keys: Sequence[str]) -> list[Found]:
        """Return what keys hold, in their order."""
        return self.get_many(keys)

    def is_away(self, key: str) -> bool:
        """Say no."""
        return False

    def report(self, key: str, error: BaseException, took_s: float = 0.0) -> None:
        """Take no note: there is no server that could be away."""

    def close(self) -> None:
        """Close the client."""
        self._client.close()
