"""Means to force an interleaving: computations that are held, and threads whose outcome can be asked for."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

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
