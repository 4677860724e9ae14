"""Refresher: lease, compute, publish; the one routine that refreshes values, for readers, by hand and for workers.

A refresh of one value is a batch of one. `acquire` and `publish` are its two round trips to Redis; workers take these
steps apart from each other, see `warmer.engine.claims`. Readers and refreshes by hand run them as one routine.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from operator import attrgetter
from secrets import token_hex
from typing import Any, TypeAlias

from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from warmer.clock import Clock
from warmer.codec import cached_error
from warmer.codec.entry import Header, Origin
from warmer.errors import described
from warmer.refresh.batch import computing_many
from warmer.refresh.compute import ends_the_caller
from warmer.refresh.effects import Call, Compute, Routine, Sleep, pauses, running_loop
from warmer.refresh.lease_renewal import LeaseRenewer
from warmer.refresh.publisher import Publisher
from warmer.refresh.reader_usage import ReaderUsage
from warmer.refresh.refreshed import Computed, Refreshed
from warmer.refresh.request import CacheRequest, LeasedWork
from warmer.refresh.single_flight import computing
from warmer.store import Claim, Entries, Lease, Result

FreshOk: TypeAlias = Callable[[LeasedWork, Header], bool]
"""Given leased work and the header of the present entry: whether that value is good enough."""


def is_fresh(work: LeasedWork, present: Header) -> bool:
    """Whether the present value is fresh."""
    return present.fresh_until_ms > work.leased_at_ms


def never_ok(work: LeasedWork, present: Header) -> bool:
    """No present value is good enough: it is computed whatever there is."""
    return False


_NOT_LIMITED: AbstractContextManager[object] = nullcontext()


class Refresher:
    """Refreshes values under leases.

    Args:
        entries: Where values and leases are.
        renewer: Keeps leases alive while values are computed.
        clock: Measures durations.
        retry_later: Takes an action that is to be done in the background, once Redis answers again.
        reader_usage: Counts what is computed here under limits.
    """

    def __init__(
        self,
        entries: Entries,
        renewer: LeaseRenewer,
        clock: Clock,
        retry_later: Callable[[Callable[[], object]], None],
        reader_usage: ReaderUsage,
    ) -> None:
        """Start idle."""
        self._entries = entries
        self._retry_later = retry_later
        self._clock = clock
        self._reader_usage = reader_usage
        self._publisher = Publisher(entries)
        self.publish = self._publisher.publish
        self.release = self._publisher.release
        self.renewer = renewer

    # --- the steps, which block ----------------------------------------------------------------------------------
    def acquire(
        self,
        requests: Sequence[CacheRequest],
        token: str,
        origin: Origin,
        fresh_ok: FreshOk = is_fresh,
        *,
        waiting_since_ms: Sequence[int] = (),
        claims: Sequence[Claim] = (),
        attempts: int = 1,
    ) -> list[LeasedWork | Refreshed]:
        """Take the leases that are needed and free, in one round trip.

        Args:
            requests: The values.
            token: Token of the leases.
            origin: Who computes.
            fresh_ok: Decides whether a present value is good enough; then its lease is given back at once.
            waiting_since_ms: For each since when the caller has been waiting for another's computation, by the
                server's clock, or 0: if that has failed since, so has this. None of them has, if not given.
            claims: The workers' claims, if they are that.
            attempts: How often Redis is asked if it does not answer in time: it, or this process, may only have too
                much to do at once.

        Returns:
            For each leased work, or how its refresh ended: FRESH, BUSY, or FAILED elsewhere.

        Raises:
            redis.RedisError: Redis did not answer; some leases may have been taken.
        """
        since_ms = waiting_since_ms or [0] * len(requests)
        asked = [(request.cache_key, token, since) for request, since in zip(requests, since_ms, strict=True)]
        acquired: list[LeasedWork | Refreshed] = []
        unneeded: list[tuple[str, str]] = []
        for n, lease in enumerate(self._take(asked, attempts)):
            one = self._acquired(requests[n], token, origin, fresh_ok, lease, claims[n] if claims else None)
            acquired.append(one)
            if isinstance(one, Refreshed) and one.result is Result.FRESH:
                unneeded.append((requests[n].cache_key, token))
        if unneeded:
            self.release(unneeded)
        return acquired

    def _take(self, asked: Sequence[tuple[str, str, int]], attempts: int) -> list[Lease]:
        try:
            return self._entries.take_leases(asked)
        except RedisTimeoutError:
            if attempts == 1:
                raise
            return self._take(asked, attempts - 1)

    def _acquired(
        self,
        request: CacheRequest,
        token: str,
        origin: Origin,
        fresh_ok: FreshOk,
        lease: Lease,
        claim: Claim | None,
    ) -> LeasedWork | Refreshed:
        if lease.failure and not cached_error.is_of(lease.failure, request.ref):  # but of another target of this key
            lease = self._entries.take_lease(request.cache_key, token)
        if lease.failure:
            return _failed_elsewhere(request, origin, lease)
        if not lease.taken:
            return Refreshed(request.ref, origin, Result.BUSY, lease.now_ms)
        present = _present_of(request, lease)
        work = LeasedWork(request, request.find_options(), token, origin, lease.now_ms, present, claim)
        if present is None or not fresh_ok(work, present):
            return work
        return Refreshed(
            request.ref,
            origin,
            Result.FRESH,
            lease.now_ms,
            computed_at_ms=present.computed_at_ms,
            fresh_until_ms=present.fresh_until_ms,
        )

    def publish_value(self, request: CacheRequest, value: Any, origin: Origin = Origin.MISS) -> Refreshed:
        """Publish a value that the caller has; take the lease from its holder, whose value is older.

        Raises:
            redis.RedisError: the lease could not be taken.
            CodecError: the value cannot be cached as it is; the present one stays.
        """
        options, token = request.find_options(), token_hex(16)
        options.codec.encode(request.cache_key, value)  # before anybody's lease is voided for nothing
        lease = self._entries.take_lease(request.cache_key, token, seize=True)
        work = LeasedWork(request, options, token, origin, lease.now_ms, _present_of(request, lease))
        (refreshed,) = self.publish([work], [Computed(value)])
        return refreshed

    def renew(self, leases: Sequence[tuple[str, str]]) -> list[bool]:
        """Extend leases, given by key and token; False for those that are lost.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        return self._entries.renew_leases(leases)

    # --- the routine ---------------------------------------------------------------------------------------------
    def refreshing(
        self,
        requests: Sequence[CacheRequest],
        origin: Origin,
        fresh_ok: FreshOk = is_fresh,
        *,
        waiting_since_ms: Sequence[int] = (),
        attempts: int = 1,
        is_batched: bool = False,
        before_publishing: Callable[[CacheRequest], object] = lambda request: None,
    ) -> Routine[list[Refreshed]]:
        """Refresh values under their leases, of those whose present value is not good enough.

        A caller that is stopped keeps no lease; those of a loop that is gone lapse, as nobody is left to do anything.

        Args:
            requests: The values, all of one task; if not batched just one.
            origin: Who computes.
            fresh_ok: Decides whether a present value is good enough.
            waiting_since_ms: See `acquire`.
            attempts: See `acquire`.
            is_batched: Whether to compute by the task's batch function.
            before_publishing: Called with each request whose value is known, and not yet published.

        Returns:
            How each refresh ended, in their order; an exception of the computation is in it, not raised.

        Raises:
            redis.RedisError: the leases could not be asked for; what may have been taken is released later.
        """
        token = token_hex(16)
        leases = [(request.cache_key, token) for request in requests]
        try:
            acquired: list[LeasedWork | Refreshed] = yield Call(
                lambda: self.acquire(
                    requests, token, origin, fresh_ok, waiting_since_ms=waiting_since_ms, attempts=attempts
                )
            )
            works = [one for one in acquired if isinstance(one, LeasedWork)]
            published: list[Refreshed] = []
            if works:
                with self._renewing(leases):
                    computed = yield from self._computing(works, is_batched)
                    for work in works:
                        before_publishing(work.request)
                    published = yield Call(lambda: self.publish(works, computed))
        except GeneratorExit:
            raise
        except RedisError:  # they may have been taken, though the reply was lost
            self._retry_later(lambda: self._entries.release_leases(leases))
            raise
        except BaseException:
            yield Call(lambda: self.release(leases))
            raise
        return _in_order(acquired, published)

    def _computing(self, works: Sequence[LeasedWork], is_batched: bool) -> Routine[list[Computed]]:
        """Compute values, and count that under the limit that protects their source; it is never held up."""
        options = works[0].options
        return computing_values(
            list(map(attrgetter("request"), works)),
            options.timeout_s,
            is_batched=is_batched,
            leaves_thread=options.leaves_thread,
            monotonic_s=self._clock.monotonic_s,
            within=_NOT_LIMITED if options.limit is None else self._reader_usage.computing(options.limit),
        )

    def refreshing_one(
        self, request: CacheRequest, origin: Origin, fresh_ok: FreshOk, waiting_since_ms: int = 0
    ) -> Routine[Refreshed]:
        """Refresh one value, unless the present one is good enough.

        Args:
            request: The value.
            origin: Who computes it.
            fresh_ok: Decides whether a present value is good enough.
            waiting_since_ms: Since when a failure elsewhere counts as this one's, by the server's clock.

        Raises:
            redis.RedisError: the lease could not be asked for.
        """
        (refreshed,) = yield from self.refreshing([request], origin, fresh_ok, waiting_since_ms=[waiting_since_ms])
        return refreshed

    def refreshing_in_turn(self, request: CacheRequest, origin: Origin, fresh_ok: FreshOk) -> Routine[Refreshed]:
        """As `refreshing_one`, but wait while another holds the lease: for `wait_s`, then it is left at BUSY."""
        deadline_s = self._clock.monotonic_s() + request.find_options().wait_s
        for pause_s in pauses():
            refreshed = yield from self.refreshing_one(request, origin, fresh_ok)
            if refreshed.result is not Result.BUSY or self._clock.monotonic_s() >= deadline_s:
                return refreshed
            yield Sleep(pause_s)
        raise AssertionError("pauses never end")

    def _renewing(self, leases: Sequence[tuple[str, str]]) -> AbstractContextManager[None]:
        """Renew leases for as long as the block runs; those of a loop that is closed meanwhile lapse."""
        loop = running_loop()

        def renew() -> object:
            if loop is not None and loop.is_closed():
                return False
            return any(self.renew(leases))

        return self.renewer.holding(renew)


def computing_values(
    requests: Sequence[CacheRequest],
    timeout_s: float | None,
    *,
    is_batched: bool = False,
    leaves_thread: bool = False,
    monotonic_s: Callable[[], float] = time.monotonic,
    within: AbstractContextManager[object] = _NOT_LIMITED,
) -> Routine[list[Computed]]:
    """Compute values, by one call of a user's function: of the batch function, or of the one for a single value.

    Args:
        requests: The values, all of one task; if not batched just one.
        timeout_s: Seconds that the call may take; None for ever.
        is_batched: Whether to compute them by the task's batch function.
        leaves_thread: Whether a sync function is run in a thread of its own, and left behind at its time-out.
        monotonic_s: Measures the time.
        within: A context for the call.

    Returns:
        The outcome of each computation, in their order; an exception is in it, not raised.

    Raises:
        BaseException: only what ends the caller itself: a cancellation, or an exit in the main thread.

    Example:
        >>> from warmer.refresh.effects import run
        >>> request = CacheRequest("answer", "", lambda: None, lambda: 42, {})
        >>> [computed] = run(computing_values([request], timeout_s=60))
        >>> computed.value
        42
    """
    with within:
        if is_batched:
            return (yield from _computing_many(requests, timeout_s, leaves_thread, monotonic_s))
        (request,) = requests
        started_s = monotonic_s()
        try:
            with computing(request.cache_key):
                value = yield Compute(request.function, request.arguments, timeout_s, leaves_thread)
        except BaseException as error:
            if ends_the_caller(error):
                raise
            return [Computed(error=error, duration_s=monotonic_s() - started_s)]
        return [Computed(value, duration_s=monotonic_s() - started_s)]


def _computing_many(
    requests: Sequence[CacheRequest], timeout_s: float | None, leaves_thread: bool, monotonic_s: Callable[[], float]
) -> Routine[list[Computed]]:
    targets = [request.target for request in requests if request.target is not None]
    return computing_many(targets[0].task, targets, timeout_s, leaves_thread=leaves_thread, monotonic_s=monotonic_s)


def _in_order(acquired: Sequence[LeasedWork | Refreshed], published: list[Refreshed]) -> list[Refreshed]:
    """Return how all refreshes ended, those that were computed in the places of their work."""
    if len(published) == len(acquired):
        return published
    computed = iter(published)
    return [next(computed) if isinstance(one, LeasedWork) else one for one in acquired]


def _present_of(request: CacheRequest, lease: Lease) -> Header | None:
    """Return the header of the entry that is there, if it is this target's.

    One that was written, or is asked for, by key alone belongs to every target of the key.
    """
    present = lease.present
    if present is None or not present.ref or not request.ref or present.ref == request.ref.encode():
        return present
    return None


def _failed_elsewhere(request: CacheRequest, origin: Origin, lease: Lease) -> Refreshed:
    """Return how a refresh ended that has failed elsewhere, while this caller waited for it."""
    exception = cached_error.restored(lease.failure, request.find_options().cache_errors)
    return Refreshed(
        request.ref,
        origin,
        Result.FAILED,
        lease.now_ms,
        error=described(exception),
        exception=exception,
        was_elsewhere=True,
    )
