"""Lease, compute, publish: the routine that refreshes one value, for readers and by hand; for workers see `claims`."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from warmer.clock import Clock
from warmer.codec import cached_error
from warmer.codec.entry import Header
from warmer.errors import described
from warmer.refresh.cache_options import CacheOptions
from warmer.refresh.compute import ends_the_caller
from warmer.refresh.effects import Call, Compute, Routine, Sleep, pauses, run, running_loop
from warmer.refresh.lease_renewal import LeaseRenewer
from warmer.refresh.publisher import Done, Publisher, Refreshed, RefreshRequest, computed_of, fresh_already, present_of
from warmer.refresh.reader_usage import ReaderUsage
from warmer.refresh.single_flight import computing
from warmer.store import Entries, Lease, Result


class _Returned(NamedTuple):
    duration_s: float
    value: Any = None
    error: BaseException | None = None


def nothing_will_do(present: Header, now_ms: int) -> bool:
    """Say that no present value will do: compute whatever there is."""
    return False


def is_fresh(present: Header, now_ms: int) -> bool:
    """Say whether the present value is fresh: it will do for whoever only wants one."""
    return present.fresh_until_ms > now_ms


class Refresher:
    """Refreshes values under a lease.

    Args:
        entries: Where values and leases are.
        renewer: Keeps leases alive while values are computed.
        clock: Measures durations.
        retry_later: Takes an action that is to be done in the background, once Redis answers again.
        guests: Counts what is computed here under limits.
    """

    def __init__(
        self,
        entries: Entries,
        renewer: LeaseRenewer,
        clock: Clock,
        retry_later: Callable[[Callable[[], object]], None],
        guests: ReaderUsage,
    ) -> None:
        """Start idle."""
        self.entries = entries
        self.publisher = Publisher(entries)
        self._owe = retry_later
        self._clock = clock
        self._guests = guests
        self.renewer = renewer

    def refresh(self, work: RefreshRequest, will_do: Callable[[Header, int], bool]) -> Refreshed:
        """Refresh in this thread; see `refreshing`."""
        return run(self.refreshing(work, will_do))

    def refreshing_in_turn(self, work: RefreshRequest, will_do: Callable[[Header, int], bool]) -> Routine[Refreshed]:
        """As `refreshing`, but wait while another holds the lease: for `wait_s`, then it is left at that, as busy.

        Raises:
            redis.RedisError: the lease could not be asked for.
        """
        deadline_s = self._clock.monotonic_s() + work.terms.wait_s
        for pause_s in pauses():
            try:
                refreshed = yield from self.refreshing(work, will_do)
            except RedisError:
                self.release_later(work)
                raise
            if refreshed.result is not Result.BUSY or self._clock.monotonic_s() >= deadline_s:
                return refreshed
            yield Sleep(pause_s)
        raise AssertionError("pauses never end")

    def refreshing(
        self, work: RefreshRequest, will_do: Callable[[Header, int], bool], waiting_since_ms: int = 0
    ) -> Routine[Refreshed]:
        """Compute a value and publish it under the lease, unless the present one will do.

        Args:
            work: What to compute.
            will_do: Given the present entry's header and the server's time in ms, says whether to leave it at that.
            waiting_since_ms: Since when this caller has been waiting for another's computation; if that has failed
                since, so has this.

        Returns:
            How it ended; an exception of the computation is in it, not raised.

        Raises:
            redis.RedisError: the lease could not be asked for.
        """
        lease = yield from self._taking(work, waiting_since_ms)
        if lease.failure and not cached_error.is_of(lease.failure, work.ref):  # but of another target with the same key
            lease = yield from self._taking(work, 0)
        if lease.failure:
            return failed_elsewhere(work, lease)
        if not lease.taken:
            return Refreshed(Result.BUSY, lease.now_ms)
        present = present_of(work, lease)
        if present is not None and will_do(present, lease.now_ms):
            yield Call(lambda: self._release(work))
            return fresh_already(present, lease.now_ms)
        with self.renewing([work]):
            try:
                returned = yield from self._computing(work)
                refreshed: Refreshed = yield Call(lambda: self._conclude(work, lease, returned))
            except GeneratorExit:
                raise
            except BaseException:
                yield Call(lambda: self._release(work))
                raise
        return refreshed

    def publish_value(self, work: RefreshRequest, value: Any) -> Refreshed:
        """Publish a value that the caller has, whoever holds the lease: what is being computed now is older.

        Raises:
            redis.RedisError: the lease could not be taken.
            CodecError: the value cannot be cached as it is; the present one stays.
        """
        work.terms.codec.encode(work.cache_key, value)  # before anybody's lease is voided for nothing
        lease = self.entries.take_lease(work.cache_key, work.token, seize=True)
        return self._conclude(work, lease, _Returned(0.0, value))

    def counting(self, terms: CacheOptions) -> AbstractContextManager[None]:
        """Count a computation in this block under the limit that protects what it asks; it is never held up."""
        return nullcontext() if terms.limit is None else self._guests.computing(terms.limit)

    def release_later(self, work: RefreshRequest) -> None:
        """Have a lease released once Redis answers: it may have been taken, though nobody was told in time."""
        self._owe(lambda: self.entries.release_lease(work.cache_key, work.token))

    def _taking(self, work: RefreshRequest, waiting_since_ms: int) -> Routine[Lease]:
        try:
            lease: Lease = yield Call(
                lambda: self.entries.take_lease(work.cache_key, work.token, waiting_since_ms=waiting_since_ms)
            )
        except (GeneratorExit, RedisError):  # whoever gives up then has it released later
            raise
        except BaseException:
            yield Call(lambda: self._release(work))
            raise
        return lease

    def renewing(self, works: Sequence[RefreshRequest]) -> AbstractContextManager[None]:
        """Keep leases for as long as the block runs; those of a loop that is closed in the middle are left to lapse."""
        loop = running_loop()
        leases = [(work.cache_key, work.token) for work in works]

        def renew() -> object:
            if loop is not None and loop.is_closed():
                return False
            return any(self.entries.renew_leases(leases))

        return self.renewer.holding(renew)

    def _computing(self, work: RefreshRequest) -> Routine[_Returned]:
        started_s = self._clock.monotonic_s()
        terms = work.terms
        try:
            with computing(work.cache_key), self.counting(terms):
                value = yield Compute(work.function, work.arguments, terms.timeout_s, terms.leaves_thread)
        except BaseException as error:
            if ends_the_caller(error):
                raise
            return _Returned(self._clock.monotonic_s() - started_s, error=error)
        return _Returned(self._clock.monotonic_s() - started_s, value)

    def _conclude(self, work: RefreshRequest, lease: Lease, returned: _Returned) -> Refreshed:
        """Publish what was computed, be it a value or an exception that is cached; or tell those who wait."""
        work.before_publishing()
        computed = computed_of(work.terms.codec, work.cache_key, *returned)
        (refreshed,) = self.publisher.publish([Done(work, lease, computed)])
        return refreshed if refreshed.exception else refreshed._replace(value=returned.value)

    def _release(self, work: RefreshRequest) -> None:
        self.publisher.release([work])


def failed_elsewhere(work: RefreshRequest, lease: Lease) -> Refreshed:
    """Return how the refresh ended whose failure a lease tells: another's, which was waited for."""
    exception = cached_error.restored(lease.failure, work.terms.cache_errors)
    return Refreshed(Result.FAILED, lease.now_ms, error=described(exception), exception=exception, was_elsewhere=True)
