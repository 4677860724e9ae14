"""The cache itself: entries, and the leases beside them."""

import time
from collections.abc import Callable
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from warmer.connect import connect
from warmer.entry import HEADER_BYTES, unpack
from warmer.store.keys import Keys
from warmer.store.records import Lease, Result
from warmer.store.scripts import Scripts
from warmer.task import MAX_REF_BYTES
from warmer.wire import Reads


class Entries:
    """The cached values and their leases: one method per operation, each atomic.

    Args:
        url: Where the cache is.
        keys: Names the keys.
        timeout_s: How long an operation may wait for Redis.
        lease_timeout_s: How long a lease lasts unless it is renewed.
        reads: Of those who read, who neither ask a server that is away, nor keep to themselves that one is; None for
            those who have patience.

    Raises:
        SettingsError: the address cannot be used.
    """

    def __init__(
        self, url: str, keys: Keys, timeout_s: float, lease_timeout_s: float, reads: Reads | None = None
    ) -> None:
        """Prepare a client; nothing is sent yet."""
        self._reads = reads
        self._client: Any = connect(url, timeout_s)
        self._keys = keys
        self._scripts = Scripts(self._client, keys)
        self._lease_timeout_ms = round(1000 * lease_timeout_s)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def ping(self) -> None:
        """Ask for a sign of life.

        Raises:
            redis.RedisError: there is none.
        """
        self._client.ping()

    def read(self, cache_key: str) -> bytes | None:
        """Return the bytes of an entry; None if there is none."""
        found: bytes | None = self._ask(cache_key, lambda: self._client.get(self._keys.entry(cache_key)))
        return found

    def take_lease(self, cache_key: str, token: str, *, waiting_since_ms: int = 0, seize: bool = False) -> Lease:
        """Take the right to write an entry, if nobody has it.

        Args:
            cache_key: The entry's key.
            token: What the lease is held with.
            waiting_since_ms: Since when the caller has been waiting for another's computation, by the server's clock;
                if that has failed since, the lease is not taken, and the failure told.
            seize: Whether to void whoever has it.
        """
        taken, now_ms, beginning, failure = self._run(
            cache_key,
            "take_lease",
            token,
            self._lease_timeout_ms,
            HEADER_BYTES + MAX_REF_BYTES,
            waiting_since_ms,
            int(seize),
            **self._keys_of(cache_key),
            failure=self._keys.failure(cache_key),
        )
        present = unpack(beginning)
        return Lease(bool(taken), now_ms, present[0] if present else None, failure)

    def renew_lease(self, cache_key: str, token: str) -> bool:
        """Extend a lease held with this token; False when it is lost."""
        return bool(
            self._run(cache_key, "renew_lease", token, self._lease_timeout_ms, lease=self._keys.lease(cache_key))
        )

    def release_lease(self, cache_key: str, token: str) -> bool:
        """Give a lease up without writing; False when it was not held with this token."""
        return bool(self._run(cache_key, "release", token, held=self._keys.lease(cache_key)))

    def fail_lease(self, cache_key: str, token: str, failure: bytes) -> bool:
        """Give a lease up because the computation failed, and tell those who wait; False when it was not held."""
        return bool(
            self._run(
                cache_key,
                "fail_lease",
                token,
                failure,
                lease=self._keys.lease(cache_key),
                failure=self._keys.failure(cache_key),
            )
        )

    def publish(self, cache_key: str, token: str, expires_at_ms: int, entry: bytes) -> Result | None:
        """Write an entry if the token still holds the lease, which is given up.

        Returns:
            PUBLISHED; LOST when the lease was lost; None when the entry has already expired.
        """
        written = self._run(cache_key, "publish", token, expires_at_ms, entry, **self._keys_of(cache_key))
        return {1: Result.PUBLISHED, 0: Result.LOST}.get(written)

    def invalidate(self, cache_key: str) -> None:
        """Delete an entry and void its lease, so that a value computed from older data is not published."""
        self._client.delete(*self._keys_of(cache_key).values())

    def _keys_of(self, cache_key: str) -> dict[str, str]:
        return {"lease": self._keys.lease(cache_key), "entry": self._keys.entry(cache_key)}

    def _run(self, cache_key: str, name: str, *arguments: str | bytes | int | float, **named_keys: str) -> Any:
        return self._ask(cache_key, lambda: self._scripts.run(name, *arguments, **named_keys))

    def _ask(self, cache_key: str, action: Callable[[], Any]) -> Any:
        """Ask a key's server; for those who read, not if it is away, and with a word to them if it has failed.

        Raises:
            redis.RedisError: it is away, did not answer, or refused.
        """
        if self._reads is None:
            return action()
        entry_key = self._keys.entry(cache_key)
        if self._reads.is_away(entry_key):
            raise RedisConnectionError("Redis is away, as another read has found")
        began_s = time.monotonic()
        try:
            return action()
        except RedisError as error:
            self._reads.report(entry_key, error, time.monotonic() - began_s)
            raise
