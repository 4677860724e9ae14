"""Renewals behind readers' backs, kept until a test carries them out."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from warmer.cache.background_refresh import BackgroundRefresh
from warmer.client.embedded import Embedded
from warmer.engine.background import Background
from warmer.errors import described
from warmer.on_demand.bulk import BulkRuns
from warmer.on_demand.bulk.feeder import Feeder
from warmer.refresh.lease_renewal import LeaseRenewer
from warmer.refresh.read_counter import uncounted_reads
from warmer.refresh.reader_usage import ReaderUsage
from warmer.refresh.single_flight import FlightResult
from warmer.results import WarmOutcome
from warmer.settings import Settings
from warmer.store import Store
from warmer.tasks.registry import Registry

Renew = Callable[[], object]
ARenew = Callable[[], Coroutine[Any, Any, object]]


class Renewals(BackgroundRefresh):
    """What readers of stale values have asked to be renewed.

    Example:
        >>> renewals = Renewals()
        >>> renewals.offer("catalog", lambda: FlightResult(42, is_computed=True))
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
        with uncounted_reads():
            return _told([(name, time.monotonic(), renew(), time.monotonic()) for name, (renew, _) in self._take()])

    async def acarry_out(self) -> list[WarmOutcome]:
        """Renew what was asked for: async functions in the running event loop; returns how it went."""
        renewed = []
        with uncounted_reads():
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


def _outcome(name: str, landed: FlightResult, duration_ms: float) -> WarmOutcome:
    result, error = ("published", None) if landed.error is None else ("failed", described(landed.error))
    return WarmOutcome.of({"ref": name, "result": result, "duration_ms": duration_ms, "error": error})


def without_threads(embedded: Embedded) -> Embedded:
    """Return the same with neither a scheduler nor a worker."""
    embedded.start = lambda runtime: None  # type: ignore[method-assign]
    return embedded


def without_thread(pulse: Background) -> Background:
    """Return the same without its thread; `Background.beat` is called by the test."""
    pulse.start = lambda worker=None: None  # type: ignore[method-assign]
    return pulse


def without_reports(guests: ReaderUsage) -> ReaderUsage:
    """Return the same without its thread; nobody is told."""
    guests._ensure_running = lambda: None  # type: ignore[method-assign]
    return guests


class StillRenewer(LeaseRenewer):
    """Renews nothing: leases and claims on a clock that stands still do not lapse."""

    def __init__(self) -> None:
        """Hold nothing."""
        super().__init__(interval_s=1.0)

    @contextmanager
    def holding(self, renew: Callable[[], object]) -> Iterator[None]:
        """Run the block."""
        yield


class StillBulkRuns(BulkRuns):
    """Starts no threads: as much as may be outstanding is asked for by the call, and `advance` goes on from there.

    Args:
        store: Where targets are.
        registry: The tasks that this process knows.
        settings: How many targets may wait at once.
        hint: Asks for a drain now.
    """

    def __init__(self, store: Store, registry: Registry, settings: Settings, hint: Callable[[], None]) -> None:
        """Start with none."""
        super().__init__(store, registry, settings, hint)
        self._still: list[Feeder] = []

    def launch(self, feeder: Feeder) -> None:
        """Ask for as much as may be outstanding."""
        self._still.append(feeder)
        feeder.catch_up()

    def advance(self) -> bool:
        """Hear what was computed, and ask for what there is room for now; False when that was nothing."""
        moved = [feeder.catch_up() for feeder in self._still]
        self._still = [feeder for feeder in self._still if not feeder.ended.done()]
        return any(moved)
