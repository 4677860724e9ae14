"""Leases, scripts and stored entries at a forced moment, for races that the public names cannot show."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.runtimes import runtime_of, store_of


def around_scripts(monkeypatch: pytest.MonkeyPatch, around: Callable[[str, Callable[[], Any]], Any]) -> None:
    """Let something stand in for every script: it is told the script's name, and how to run it."""
    from warmer.store.entries import Entries
    from warmer.store.scripts import Scripts

    for runs_scripts, method in ((Scripts, "run"), (Entries, "_send")):
        original = getattr(runs_scripts, method)

        def stand_in(runner: Any, name: str, *arguments: Any, run: Any = original) -> Any:
            return around(name, lambda: run(runner, name, *arguments))

        monkeypatch.setattr(runs_scripts, method, stand_in)


def misses(warmer: Any) -> int:
    """Reads of this process that have missed, and not been flushed yet."""
    return sum(reads.misses for reads in list(runtime_of(warmer).read_counter._reads.values()))


def lease_of(warmer: Any, cache_key: str) -> bytes | None:
    """Who holds the right to write an entry."""
    found: bytes | None = store_of(warmer).entries._client.get(store_of(warmer).keys.lease(cache_key))
    return found


def hold_lease(warmer: Any, cache_key: str, token: str = "another process") -> None:
    """Take a key's lease as another process would, and keep it."""
    assert store_of(warmer).entries.take_lease(cache_key, token).taken


def make_stale(warmer: Any, cache_key: str) -> None:
    """Let an entry's freshness be over, as if its ttl had passed."""
    from warmer.codec.entry import pack, unpack

    client, name = store_of(warmer).entries._client, store_of(warmer).keys.entry(cache_key)
    header, payload = unpack(client.get(name))
    past_ms = header.computed_at_ms - 1
    client.set(name, pack(header._replace(refresh_from_ms=past_ms, fresh_until_ms=past_ms), payload), keepttl=True)


def make_renewable(warmer: Any, cache_key: str) -> None:
    """Let the time have come at which a read has a still fresh entry renewed."""
    from warmer.codec.entry import pack, unpack

    client, name = store_of(warmer).entries._client, store_of(warmer).keys.entry(cache_key)
    header, payload = unpack(client.get(name))
    client.set(name, pack(header._replace(refresh_from_ms=header.computed_at_ms - 1), payload), keepttl=True)


def waiting_for_leader(warmer, eventually) -> None:
    """Wait until this process has found the lease taken: from then on it waits for another's computation."""
    seen = []
    take = store_of(warmer).readers_entries.take_leases

    def take_leases(asked, **kwargs):
        leases = take(asked, **kwargs)
        seen.extend(waiting_since_ms for _, _, waiting_since_ms in asked)
        return leases

    store_of(warmer).readers_entries.take_leases = take_leases
    eventually(lambda: any(seen))
    store_of(warmer).readers_entries.take_leases = take
