"""Means to force an interleaving: computations that are held, and threads whose outcome can be asked for."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.runtimes import runtime_of, store_of

PATIENCE_S = 20


class Gate:
    """A computation that announces itself, and goes on when it is told to; an exception is raised, not returned."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.calls = 0
        self.at_once = 0
        self.most_at_once = 0
        self.entered = threading.Event()
        self.may_go_on = threading.Event()
        self._lock = threading.Lock()

    def __call__(self) -> Any:
        self._enter()
        try:
            assert self.may_go_on.wait(PATIENCE_S), "nobody opened the gate"
        finally:
            self._leave()
        return self._outcome()

    async def call(self) -> Any:
        """The same as a coroutine function."""
        self._enter()
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not self.may_go_on.is_set():
                    await asyncio.sleep(0.005)
        finally:
            self._leave()
        return self._outcome()

    def _enter(self) -> None:
        with self._lock:
            self.calls += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.entered.set()

    def _leave(self) -> None:
        with self._lock:
            self.at_once -= 1

    def _outcome(self) -> Any:
        if isinstance(self.value, BaseException):
            raise self.value
        return self.value


class Beside:
    """Runs something in a thread, and hands over what it returned or raised."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self._outcome: list[Any] = []
        self._thread = threading.Thread(target=self._run, args=(action,), daemon=True)
        self._thread.start()

    @classmethod
    def in_loop(cls, start: Callable[[], Any]) -> "Beside":
        """The same for a coroutine, beside an event loop of its own."""
        return cls(lambda: asyncio.run(start()))

    def _run(self, action: Callable[[], Any]) -> None:
        try:
            self._outcome.append(action())
        except BaseException as error:
            self._outcome.append(error)

    @property
    def is_done(self) -> bool:
        return bool(self._outcome)

    def result(self) -> Any:
        outcome = self.outcome()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def outcome(self) -> Any:
        """What it returned or raised, the latter as a value."""
        self._thread.join(PATIENCE_S)
        assert self._outcome, "still running"
        return self._outcome[0]


def around_scripts(monkeypatch: pytest.MonkeyPatch, around: Callable[[str, Callable[[], Any]], Any]) -> None:
    """Let something stand in for every script: it is told the script's name, and how to run it."""
    from warmer.store.scripts import Scripts

    for method in ("run", "run_each"):
        original = getattr(Scripts, method)

        def stand_in(scripts: Any, name: str, *arguments: Any, run: Any = original, **keys: str) -> Any:
            return around(name, lambda: run(scripts, name, *arguments, **keys))

        monkeypatch.setattr(Scripts, method, stand_in)


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


both_kinds = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


def declared(warmer, function, cache_key="k", **options):
    return warmer.warmed(cache_key, task_id="t", **options)(function)


def ask(warmed, is_async: bool) -> Beside:
    return Beside.in_loop(warmed) if is_async else Beside(warmed)


def of_kind(gate: Gate, is_async: bool):
    """The gate as a plain function or a coroutine function."""
    if is_async:

        async def compute():
            return await gate.call()
    else:

        def compute():
            return gate()

    return compute


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
