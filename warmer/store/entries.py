"""Entries of the cache, and the leases beside them."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from warmer.codec.entry import HEADER_BYTES, unpack
from warmer.connect import connect
from warmer.connect.cluster import ClusterClient
from warmer.settings import Settings
from warmer.store.records import Lease, Result
from warmer.store.scripts import Argument, Scripts
from warmer.tasks.target import MAX_REF_BYTES
from warmer.wire import Reader

_RESULTS = {1: Result.PUBLISHED, 0: Result.LOST}


class Entries:
    """The cached values and their leases: one method per operation, each atomic.

    Args:
        url: Where the cache is.
        settings: The namespace, and how long a lease lasts unless it is renewed.
        timeout_s: How long an operation may wait for Redis.
        reads: The reader whose circuit breaker is asked first and gets reports of failures; None for callers
            that wait for an unavailable server.

    Raises:
        SettingsError: the address cannot be used.
    """

    def __init__(self, url: str, settings: Settings, timeout_s: float, reads: Reader | None = None) -> None:
        """Prepare a client; nothing is sent yet."""
        self._reads = reads
        self._client: Any = connect(url, timeout_s)
        self._scripts = Scripts(self._client, settings)
        self._loaded: dict[str, tuple[Any, int]] = {}
        self._names_of = self._scripts.keys.of_entry
        self.key_of: Callable[[str], str] = self._scripts.keys.entry

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
        entry_key = self._names_of(cache_key).entry
        found: bytes | None = self._ask(entry_key, lambda: self._client.get(entry_key))
        return found

    # --- one by one --------------------------------------------------------------------------------------------
    def take_lease(self, cache_key: str, token: str, *, waiting_since_ms: int = 0, seize: bool = False) -> Lease:
        """Take the right to write an entry, if nobody has it; see `take_leases`."""
        (lease,) = self.take_leases([(cache_key, token, waiting_since_ms)], seize=seize)
        return lease

    def release_lease(self, cache_key: str, token: str) -> bool:
        """Give a lease up without writing; False when it was not held with this token."""
        return self.release_leases([(cache_key, token)])[0]

    # --- many at once ------------------------------------------------------------------------------------------
    def take_leases(self, asked: Sequence[tuple[str, str, int]], *, seize: bool = False) -> list[Lease]:
        """Take the right to write entries, of those that nobody has it of.

        Args:
            asked: For each its key; what its lease is held with; and since when the caller has been waiting for
                another's computation, by the server's clock in ms, or 0: if that has failed since, the lease is not
                taken, and the failure returned.
            seize: Whether to void the leases that others hold.
        """
        each = [(*self._names_of(key), token, since_ms) for key, token, since_ms in asked]
        arguments = (HEADER_BYTES + MAX_REF_BYTES, int(seize))
        leases = []
        for now_ms, answers in self._run_each("take_lease", each, *arguments):
            for taken, beginning, failure in answers:
                present = unpack(beginning) if beginning else None
                leases.append(Lease(bool(taken), now_ms, present[0] if present else None, failure))
        return leases

    def renew_leases(self, leases: Sequence[tuple[str, str]]) -> list[bool]:
        """Extend leases, of which each is given by its key and token; False for those that are lost."""
        each = [(self._names_of(key).lease, token) for key, token in leases]
        return _truths(self._run_each("renew_lease", each))

    def release_leases(self, leases: Sequence[tuple[str, str]]) -> list[bool]:
        """Give leases up without writing, each by its key and token; False for those that were not held."""
        each = [(self._names_of(key).lease, token) for key, token in leases]
        return _truths(self._run_each("release_lease", each))

    def fail_leases(self, failures: Sequence[tuple[str, str, bytes]]) -> list[bool]:
        """Give leases up because their computations failed, and leave the failures for waiting readers.

        Args:
            failures: For each its key, its token, and how it failed.

        Returns:
            False for those that were not held.
        """
        each = []
        for key, token, how in failures:
            names = self._names_of(key)
            each.append((names.lease, names.failure, token, how))
        return _truths(self._run_each("fail_lease", each))

    def publish_many(self, entries: Sequence[tuple[str, str, int, bytes]]) -> list[Result | None]:
        """Write entries, of those whose lease their token still holds, and give the leases up.

        Args:
            entries: For each its key, its token, when it expires in ms, and its bytes.

        Returns:
            For each PUBLISHED; LOST when the lease was lost; None when the entry has already expired.
        """
        each = []
        for key, token, until_ms, new in entries:
            names = self._names_of(key)
            each.append((names.lease, names.entry, token, until_ms, new))
        return [_RESULTS.get(answer) for part in self._run_each("publish", each) for answer in part]

    def invalidate(self, cache_key: str) -> None:
        """Delete an entry and void its lease, so that a value computed from older data is not published."""
        names = self._names_of(cache_key)
        self._client.delete(names.lease, names.entry)

    def _run_each(
        self,
        name: str,
        each: Sequence[Sequence[str | bytes | int]],
        *arguments: str | bytes | int,
    ) -> list[Any]:
        """Run a script over many keys, in one round trip; in a Cluster, where no script spans slots, in one for each.

        Args:
            name: The script's name.
            each: The script's keys and arguments for each entry; the name of its lease comes first.
            *arguments: Those for all.

        Returns:
            The answers of the parts, in order.
        """
        if not each:
            return []
        if isinstance(self._client, ClusterClient):
            return [self._ask(str(one[0]), partial(self._send, name, [one], arguments)) for one in each]
        return [self._ask(str(each[0][0]), partial(self._send, name, each, arguments))]

    def _send(self, name: str, each: Sequence[Sequence[Argument]], arguments: Sequence[Argument]) -> Any:
        loaded = self._loaded.get(name)
        if loaded is None:
            loaded = self._loaded[name] = self._scripts.over_each(name)
        script, width = loaded
        keys: list[Argument] = []
        args: list[Argument] = [*arguments]
        for one in each:
            keys += one[:width]
            args += one[width:]
        return script(keys=keys, args=args)

    def _ask(self, key: str, action: Callable[[], Any]) -> Any:
        """Ask a key's server; for readers only if it is available, and report its failure to their circuit breaker.

        Raises:
            redis.RedisError: it is away, did not answer, or refused.
        """
        if self._reads is None:
            return action()
        if self._reads.is_unavailable(key):
            raise RedisConnectionError("Redis is away, as another read has found")
        began_s = time.monotonic()
        try:
            return action()
        except RedisError as error:
            self._reads.report(key, error, time.monotonic() - began_s)
            raise


def _truths(parts: Sequence[Any]) -> list[bool]:
    return [bool(answer) for part in parts for answer in part]
