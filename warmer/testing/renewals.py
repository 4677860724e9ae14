"""Renewals behind readers' backs, kept until a test carries them out."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

from warmer.access import uncounted
from warmer.behind import Behind
from warmer.errors import described
from warmer.flights import Landed
from warmer.results import WarmOutcome

Renew = Callable[[], object]
ARenew = Callable[[], Coroutine[Any, Any, object]]


class Renewals(Behind):
    """What readers of stale values have asked to be renewed.

    Example:
        >>> renewals = Renewals()
        >>> renewals.offer("catalog", lambda: Landed(42, is_computed=True))
        >>> [outcome.success for outcome in renewals.carry_out()]
        [True]
    """

    def __init__(self) -> None:
        """Start with nothing asked."""
        super().__init__()
        self._asking = threading.Lock()
        self._asked: dict[str, tuple[Renew, ARenew | None]] = {}

    def offer(self, name: str, renew: Renew, arenew: ARenew | None = None) -> None:
        """Remember that a value is to be renewed."""
        with self._asking:
            self._asked.setdefault(name, (renew, arenew))

    def carry_out(self) -> list[WarmOutcome]:
        """Renew what was asked for, in this thread; returns how it went."""
        with uncounted():
            return _told([(name, time.monotonic(), renew(), time.monotonic()) for name, (renew, _) in self._take()])

    async def acarry_out(self) -> list[WarmOutcome]:
        """Renew what was asked for: async functions in the running event loop; returns how it went."""
        renewed = []
        with uncounted():
            for name, (renew, arenew) in self._take():
                began_s = time.monotonic()
                landed = await asyncio.to_thread(renew) if arenew is None else await arenew()
                renewed.append((name, began_s, landed, time.monotonic()))
        return _told(renewed)

    def _take(self) -> list[tuple[str, tuple[Renew, ARenew | None]]]:
        with self._asking:
            asked, self._asked = self._asked, {}
        return list(asked.items())


def _told(renewed: list[tuple[str, float, Any, float]]) -> list[WarmOutcome]:
    """Tell what was computed; what is abandoned had been renewed by somebody else."""
    return [
        _outcome(name, landed, 1000 * (ended_s - began_s))
        for name, began_s, landed, ended_s in renewed
        if not landed.is_abandoned
    ]


def _outcome(name: str, landed: Landed, duration_ms: float) -> WarmOutcome:
    result, error = ("published", None) if landed.error is None else ("failed", described(landed.error))
    return WarmOutcome.of({"ref": name, "result": result, "duration_ms": duration_ms, "error": error})
