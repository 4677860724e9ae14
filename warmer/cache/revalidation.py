"""Stale-while-revalidate: refreshes in the background what a reader has found stale, with backoff per key."""

import logging

from redis.exceptions import RedisError

from warmer.cache.async_runner import AsyncRunner
from warmer.cache.background_refresh import BackgroundRefresh
from warmer.cache.miss_leader import MissLeader, flight_name
from warmer.cache.refresh_backoff import RefreshBackoff
from warmer.clock import Clock
from warmer.codec.entry import Header, Origin
from warmer.fork import ForkSafe
from warmer.refresh.effects import Routine, run, running_loop
from warmer.refresh.refresher import Refresher
from warmer.refresh.request import CacheRequest, LeasedWork
from warmer.refresh.single_flight import NO_RESULT, FlightResult, SingleFlight
from warmer.store import Result
from warmer.tasks.functions import is_async

logger = logging.getLogger("warmer.cache")

HEEDED_FAILURES_MS = 400
"""A failure elsewhere that is no older counts as this one's; less than any backoff after a failure of its own."""


class Revalidation(ForkSafe):
    """Refreshes stale values, which are served meanwhile.

    Args:
        refresher: The refresh routine, with the time-outs of readers.
        leader: Makes results of refreshes.
        flights: The computations of readers that are under way.
        runner: Runs routines beside event loops.
        clock: Measures the time.
        background_refresh: Where refreshes run that no reader waits for.
    """

    def __init__(
        self,
        refresher: Refresher,
        leader: MissLeader,
        flights: SingleFlight,
        runner: AsyncRunner,
        clock: Clock,
        background_refresh: BackgroundRefresh,
    ) -> None:
        """Start with no key blocked."""
        self._refresher = refresher
        self._leader = leader
        self._flights = flights
        self._runner = runner
        self._clock = clock
        self._background_refresh = background_refresh
        super().__init__()

    def _reset_after_fork(self) -> None:
        self._backoff = RefreshBackoff(self._clock.monotonic_s)

    def submit(self, request: CacheRequest) -> None:
        """Have a value refreshed in the background, unless that is under way or has just failed."""
        if not self._backoff.is_blocked(request.cache_key):
            arefresh = (lambda: self._arefresh(request)) if is_async(request.function) else None
            self._background_refresh.submit(request.ref or request.cache_key, lambda: self._refresh(request), arefresh)

    def _refresh(self, request: CacheRequest) -> FlightResult:
        return run(self._leading(request))

    async def _arefresh(self, request: CacheRequest) -> FlightResult:
        return await self._runner.run(self._leading(request))

    def _leading(self, request: CacheRequest) -> Routine[FlightResult]:
        """Refresh as the leader of a flight; without a result if another leads."""
        name = flight_name(request)
        flight, leads = self._flights.join(name)
        if not leads:
            return NO_RESULT
        flight.loop = running_loop()
        result = NO_RESULT
        try:
            result = yield from self._refreshing(request)
        except Exception as error:
            result = FlightResult.with_error(error)
        finally:
            self._flights.resolve(name, flight, result)
        return result

    def _refreshing(self, request: CacheRequest) -> Routine[FlightResult]:
        """Refresh a value that can still be served; without a result unless it is computed here."""
        key = request.cache_key
        heeded_since_ms = self._clock.now_ms() - HEEDED_FAILURES_MS
        try:
            refreshed = yield from self._refresher.refreshing_one(
                request, Origin.MISS, _is_not_to_be_refreshed, heeded_since_ms
            )
        except RedisError:
            self._backoff.busy(key)
            return NO_RESULT
        if refreshed.result is Result.BUSY:
            self._backoff.busy(key)
            return NO_RESULT
        if refreshed.result is Result.FAILED:
            self._backoff.failed(key)
            logger.warning("%r could not be refreshed, its old value is served: %s", key, refreshed.error)
        else:
            self._backoff.recovered(key)
        return NO_RESULT if refreshed.result is Result.FRESH else self._leader.result_of(refreshed)


def _is_not_to_be_refreshed(work: LeasedWork, present: Header) -> bool:
    return present.refresh_from_ms > work.leased_at_ms
