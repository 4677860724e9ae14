"""Renewals behind readers' backs, kept until a test carries them out."""

import asyncio
import threading
from typing import Any

from warmer.compute import is_async
from warmer.errors import described
from warmer.filling import Filler
from warmer.flights import ABANDONED, Flight, Landed
from warmer.results import WarmOutcome
from warmer.wanted import Wanted


class Renewals:
    """What readers of stale values have asked to be renewed.

    Args:
        filler: Renews; from now on only when it is told to, and without threads of its own.
    """

    def __init__(self, filler: Filler) -> None:
        """Start with nothing asked."""
        self._filler = filler
        self._lock = threading.Lock()
        self._asked: dict[str, Wanted] = {}
        self._outcomes: list[WarmOutcome] = []
        filler.renew_behind = self.ask  # type: ignore[method-assign]
        fly_here: Any = self._fly_here
        filler._start_thread = fly_here  # type: ignore[method-assign]

    def ask(self, wanted: Wanted) -> None:
        """Remember that a value is to be renewed."""
        with self._lock:
            self._asked.setdefault(wanted.cache_key, wanted)

    def carry_out(self) -> list[WarmOutcome]:
        """Renew what was asked for, in this thread; returns how it went."""
        for wanted in self._take():
            self._renew(wanted)
        return self._told()

    async def acarry_out(self) -> list[WarmOutcome]:
        """Renew what was asked for: async functions in the running event loop; returns how it went."""
        for wanted in self._take():
            if is_async(wanted.function):
                await self._arenew(wanted)
            else:
                await asyncio.to_thread(self._renew, wanted)
        return self._told()

    def _renew(self, wanted: Wanted) -> None:
        """Do as the filler does, unless the renewal is under way or has just failed."""
        Filler.renew_behind(self._filler, wanted)

    async def _arenew(self, wanted: Wanted) -> None:
        began_s = self._filler._clock.monotonic_s()
        self._renew(wanted)
        flight, leads = self._filler._flights.board(wanted.cache_key)
        if leads:  # the filler has not begun one
            self._filler._flights.land(wanted.cache_key, flight, ABANDONED)
        self._tell(wanted, await asyncio.wrap_future(flight), began_s)

    def _fly_here(self, flight: Flight, wanted: Wanted, *rest: Any) -> None:
        """Stand in for the filler's thread."""
        began_s = self._filler._clock.monotonic_s()
        self._filler._fly_behind(flight, wanted, *rest)
        self._tell(wanted, flight.result(), began_s)

    def _tell(self, wanted: Wanted, landed: Landed, began_s: float) -> None:
        """Tell what was computed; what is abandoned had been renewed by somebody else."""
        if not landed.is_abandoned:
            self._outcomes.append(
                WarmOutcome(
                    ref=wanted.ref or wanted.cache_key,
                    success=landed.error is None,
                    result="published" if landed.error is None else "failed",
                    duration_ms=1000 * (self._filler._clock.monotonic_s() - began_s),
                    error=None if landed.error is None else described(landed.error),
                )
            )

    def _take(self) -> list[Wanted]:
        with self._lock:
            asked, self._asked = self._asked, {}
        return list(asked.values())

    def _told(self) -> list[WarmOutcome]:
        outcomes, self._outcomes = self._outcomes, []
        return outcomes
