"""What a run asks of Redis, on behalf of one watcher."""

from collections.abc import Callable, Iterable, Sequence
from secrets import token_hex
from typing import Any

from warmer.handle import WATCH_S
from warmer.store import Store

CHUNK = 500
"""Targets that one command names: more would keep Redis from others for too long."""


class Requests:
    """Asks for targets, hears how they went, and takes them back.

    Args:
        store: Where.
        hint: Asks for a drain now.
    """

    def __init__(self, store: Store, hint: Callable[[], None]) -> None:
        """Watch nothing yet."""
        self.hint = hint
        self._store = store
        self._watcher = token_hex(16)

    def ask(self, refs: Sequence[str], force: bool) -> list[str]:
        """Ask for targets, at most a chunk; returns for each "asked", "full", "quarantined", "disabled" or "unknown".

        Args:
            refs: Canonical texts of the targets.
            force: Whether to compute even if the present value is fresh.
        """
        return self._store.request(refs, force=force, watcher=self._watcher, watch_s=WATCH_S)

    def outcomes(self, count: int, timeout_s: float) -> list[dict[str, Any]]:
        """Return what was told since, at most this many; waits for the first so long at most."""
        return self._store.next_outcomes(self._watcher, count, timeout_s)

    def take_back(self, refs: Iterable[str]) -> set[str]:
        """Take back what nobody has begun; returns the refs of what has been begun, which is finished."""
        return set(self._store.withdraw(list(refs), self._watcher))

    def epoch(self) -> str | None:
        """Return the text that changes when Redis is emptied; None while nothing is registered."""
        return self._store.epoch()[0]
