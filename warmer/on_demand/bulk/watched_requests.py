"""Requests of a bulk run: under one watcher id, to which outcomes are reported."""

from collections.abc import Callable, Iterable, Sequence
from secrets import token_hex
from typing import Any

from warmer.on_demand.handle import WATCH_S
from warmer.store import Store


class WatchedRequests:
    """Requests targets, collects their outcomes, and withdraws them.

    Args:
        store: Sends the commands.
        hint: Asks for a drain now.
    """

    def __init__(self, store: Store, hint: Callable[[], None]) -> None:
        self.hint = hint
        self._store = store
        self._watcher = token_hex(16)

    def submit(self, refs: Sequence[str], force: bool) -> list[str]:
        """Request targets, at most a chunk; returns for each "asked", "full", "quarantined", "disabled" or "unknown".

        Args:
            refs: Canonical texts of the targets.
            force: Whether to compute even if the present value is fresh.
        """
        return self._store.requests.submit(refs, force=force, watcher=self._watcher, watch_s=WATCH_S)

    def next_outcomes(self, count: int, timeout_s: float) -> list[dict[str, Any]]:
        """Return the next outcomes, at most this many; waits for the first one up to the time-out."""
        return self._store.requests.next_outcomes(self._watcher, count, timeout_s)

    def withdraw(self, refs: Iterable[str]) -> set[str]:
        """Withdraw targets that no worker has begun; returns the refs of the others, which are finished."""
        return set(self._store.requests.withdraw(list(refs), self._watcher))

    def epoch(self) -> str | None:
        """Return the text that changes when Redis is emptied; None while nothing is registered."""
        return self._store.switch.epoch()[0]
