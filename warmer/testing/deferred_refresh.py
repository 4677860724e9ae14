"""Background refreshes for tests: kept until a test runs them, so that nothing happens at an unknown time."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from warmer.cache.background_refresh import BackgroundRefresh
from warmer.errors import described
from warmer.refresh.read_counter import uncounted_reads
from warmer.refresh.single_flight import FlightResult
from warmer.results import WarmOutcome

Refresh = Callable[[], Any]
ARefresh = Callable[[], Coroutine[Any, Any, Any]]


class _Ended(NamedTuple):
    name: str
    began_s: float
    result: FlightResult
    ended_s: float


class DeferredRefresh(BackgroundRefresh):
    """Keeps the refreshes that readers of stale values submit, one per name, until `run_all`.

    Example:
        >>> deferred = DeferredRefresh()
        >>> deferred.submit("catalog", lambda: FlightResult(42, is_computed=True))
        >>> [outcome.success for outcome in deferred.run_all()]
        [True]
    """

    def __init__(self) -> None:
        super().__init__()
        self._deferring = threading.Lock()
        self._deferred: dict[str, tuple[Refresh, ARefresh | None]] = {}

    def submit(self, name: str, refresh: Refresh, arefresh: ARefresh | None = None) -> None:
        """Keep a refresh until `run_all`."""
        with self._deferring:
            self._deferred.setdefault(name, (refresh, arefresh))

    def run_all(self) -> list[WarmOutcome]:
        """Run the refreshes in this thread; returns the outcomes of those that computed here."""
        with uncounted_reads():
            return _outcomes(
                [_Ended(name, time.monotonic(), refresh(), time.monotonic()) for name, (refresh, _) in self._take()]
            )

    async def arun_all(self) -> list[WarmOutcome]:
        """As `run_all`, with async functions in the running event loop, and others in a thread."""
        ended = []
        with uncounted_reads():
            for name, (refresh, arefresh) in self._take():
                began_s = time.monotonic()
                result = await asyncio.to_thread(refresh) if arefresh is None else await arefresh()
                ended.append(_Ended(name, began_s, result, time.monotonic()))
        return _outcomes(ended)

    def _take(self) -> list[tuple[str, tuple[Refresh, ARefresh | None]]]:
        with self._deferring:
            deferred, self._deferred = self._deferred, {}
        return list(deferred.items())


def _outcomes(ended: list[_Ended]) -> list[WarmOutcome]:
    """Return the outcomes of the values computed here; an abandoned refresh found that another caller had done it."""
    return [_outcome(one) for one in ended if not one.result.is_abandoned]


def _outcome(ended: _Ended) -> WarmOutcome:
    error = ended.result.error
    return WarmOutcome.of(
        {
            "ref": ended.name,
            "result": "published" if error is None else "failed",
            "duration_ms": 1000 * (ended.ended_s - ended.began_s),
            "error": None if error is None else described(error),
        }
    )
