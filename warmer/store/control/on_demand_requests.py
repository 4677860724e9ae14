"""Requests to warm targets now, and the outcomes that are reported to their watchers."""

import math
from collections.abc import Sequence
from typing import Any

import orjson

from warmer.settings import Settings
from warmer.store.control.operations import ControlOperations
from warmer.store.scripts import Scripts


class OnDemandRequests(ControlOperations):
    """Requests on demand.

    Args:
        scripts: Scripts of the control server.
        settings: How long a command may wait for Redis.
    """

    def __init__(self, scripts: Scripts, settings: Settings) -> None:
        """Prepare; nothing is sent yet."""
        super().__init__(scripts)
        self._settings = settings

    def submit(self, refs: Sequence[str], *, force: bool, watcher: str = "", watch_s: float = 1.0) -> list[str]:
        """Request that targets are warmed now.

        Args:
            refs: Canonical texts of the targets.
            force: Whether to compute even if the present value is fresh.
            watcher: Id to pass to `next_outcome`; "" if nobody waits for the outcomes.
            watch_s: For how long it is watched.

        Returns:
            For each target "asked", "disabled", "unknown", "quarantined", or "full" when too many wait already.
        """
        if not refs:
            return []
        mode = "force" if force else "ensure"
        answers = self._scripts.run("request", mode, watcher, math.ceil(watch_s), *refs)
        return [answer.decode() for answer in answers]

    def withdraw(self, refs: Sequence[str], watcher: str) -> list[str]:
        """Withdraw requests that only this watcher has made; returns the refs that a worker has already begun."""
        return [ref.decode() for ref in self._scripts.run("withdraw", watcher, *refs)] if refs else []

    def next_outcomes(self, watcher: str, count: int, timeout_s: float) -> list[dict[str, Any]]:
        """Return the next outcomes of this watcher's requests.

        Args:
            watcher: Id that was passed to `submit`.
            count: How many at most.
            timeout_s: How long to wait for the first one.
        """
        first = self.next_outcome(watcher, timeout_s)
        if first is None:
            return []
        more = self._client.lpop(self._keys.outcomes + watcher, count - 1) if count > 1 else None
        return [first, *map(orjson.loads, more or ())]

    def next_outcome(self, watcher: str, timeout_s: float) -> dict[str, Any] | None:
        """Return the next outcome of this watcher's requests; None if there is none within the time."""
        key = self._keys.outcomes + watcher
        if timeout_s <= 0:
            outcome = self._client.lpop(key)
        else:
            found = self._client.blpop([key], timeout=min(timeout_s, self._settings.redis_timeout_s / 2))
            outcome = found[1] if found else None
        return orjson.loads(outcome) if outcome else None
