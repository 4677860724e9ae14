"""Targets that somebody asks to be warmed now, and the outcomes that are reported back."""

import math
from collections.abc import Sequence
from typing import Any

import orjson

from warmer.settings import Settings
from warmer.store.scripts import Scripts


class OnDemandRequests:
    """Requests to warm targets now.

    Args:
        scripts: Of the control server.
        settings: Time-outs and capacities.
    """

    def __init__(self, scripts: Scripts, settings: Settings) -> None:
        """Prepare; nothing is sent yet."""
        self._scripts = scripts
        self._client = scripts.client
        self._keys = scripts.keys
        self._settings = settings

    def submit(self, refs: Sequence[str], *, force: bool, watcher: str = "", watch_s: float = 1.0) -> list[str]:
        """Ask for targets to be warmed now.

        Args:
            refs: Canonical texts of the targets.
            force: Whether to compute even if the present value is fresh.
            watcher: Id under which `next_outcome` will be asked for the outcomes; "" if nobody waits.
            watch_s: For how long it will be asked.

        Returns:
            For each "asked", "disabled", "unknown", "quarantined", or "full" when too many wait already.
        """
        if not refs:
            return []
        mode = "force" if force else "ensure"
        answers = self._scripts.run("request", mode, watcher, math.ceil(watch_s), *refs)
        return [answer.decode() for answer in answers]

    def withdraw(self, refs: Sequence[str], watcher: str) -> list[str]:
        """Take back what this watcher alone has asked for; returns what somebody has begun, whose outcome is told."""
        return [ref.decode() for ref in self._scripts.run("withdraw", watcher, *refs)] if refs else []

    def next_outcomes(self, watcher: str, most: int, timeout_s: float) -> list[dict[str, Any]]:
        """Return the next outcomes of what this watcher asked for; waits for the first one up to the time."""
        first = self.next_outcome(watcher, timeout_s)
        if first is None:
            return []
        more = self._client.lpop(self._keys.outcomes + watcher, most - 1) if most > 1 else None
        return [first, *map(orjson.loads, more or ())]

    def next_outcome(self, watcher: str, timeout_s: float) -> dict[str, Any] | None:
        """Return the next outcome of what this watcher asked for, if there is one within the time; 0 does not wait."""
        key = self._keys.outcomes + watcher
        if timeout_s <= 0:
            outcome = self._client.lpop(key)
        else:
            found = self._client.blpop([key], timeout=min(timeout_s, self._settings.redis_timeout_s / 2))
            outcome = found[1] if found else None
        return orjson.loads(outcome) if outcome else None
