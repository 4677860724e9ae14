"""Lease, compute, publish: the one routine that refreshes a value, for workers and readers alike."""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from redis.exceptions import RedisError

from warmer import failure
from warmer.clock import Clock
from warmer.codec import ERROR, Encoded
from warmer.entry import Header, Origin, pack
from warmer.errors import OutlivedTtlError, described
from warmer.flights import computing
from warmer.renewal import Renewer
from warmer.settings import Settings
from warmer.steps import Compute, Do, Pause, Steps, pauses, run, running_loop
from warmer.store import Entries, Lease, Result
from warmer.terms import Terms

logger = logging.getLogger("warmer.refresh")

MOST_AHEAD = 0.9
"""By at most this part of its freshness a value is renewed ahead."""


@dataclass(frozen=True, slots=True)
class Work:
    """One value to compute and publish.

    Args:
        ref: Canonical text of the target; "" for a key without a task.
        cache_key: Where the value is cached.
        terms: On which terms.
        origin: Who computes it.
        function: Computes it.
        arguments: The function's keyword arguments.
        token: What the lease is taken with.
        before_publishing: Called when the value is known, and not yet published.
    """

    ref: str
    cache_key: str
    terms: Terms
    origin: Origin
    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    token: str
    before_publishing: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Refreshed:
    """How a refresh ended.

    Args:
        result: How it ended.
        now_ms: The server's time when it began.
        value: The computed value, if there is one.
        encoded: The same as bytes, if it could be encoded.
        duration_ms: How long the computation took.
        computed_at_ms: When the value that is now cached was computed; 0 when unknown.
        fresh_until_ms: Until when it is fresh.
        error: What went wrong.
        exception: What the computation raised, or why its value can never be cached; None if there is a value.
        was_elsewhere: Whether it is another's computation that failed, while this caller waited for it.
    """

    result: Result
    now_ms: int = 0
    value: Any = None
    encoded: Encoded | None = None
    duration_ms: float = 0.0
    computed_at_ms: int = 0
    fresh_until_ms: int = 0
    error: str = ""
    exception: BaseException | None = None
    was_elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class _Computed:
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
        settings: Time-outs.
        clock: Measures durations.
        owe: Takes an action that is to be done in the background, once Redis answers again.
    """

    def __init__(
        self, entries: Entries, settings: Settings, clock: Clock, owe: Callable[[Callable[[], object]], None]
    ) -> None:
        """Start idle."""
        self.entries = entries
        self._owe = owe
        self._clock = clock
        self.renewer = Renewer(min(settings.lease_timeout_s, settings.claim_timeout_s) / 3)

    def refresh(self, work: Work, will_do: Callable[[Header, int], bool]) -> Refreshed:
        """Refresh in this thread; see `refreshing`."""
        return run(self.refreshing(work, will_do))

    def refreshing_in_turn(self, work: Work, will_do: Callable[[Header, int], bool]) -> Steps[Refreshed]:
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
            yield Pause(pause_s)
        raise AssertionError("pauses never end")

    def refreshing(
        self, work: Work, will_do: Callable[[Header, int], bool], waiting_since_ms: int = 0
    ) -> Steps[Refreshed]:
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
        if lease.failure and not failure.is_of(lease.failure, work.ref):  # but of another target with the same key
            lease = yield from self._taking(work, 0)
        if lease.failure:
            return _failed_elsewhere(work, lease)
        if not lease.taken:
            return Refreshed(Result.BUSY, lease.now_ms)
        present = lease.present if lease.present and _is_same_target(lease.present, work) else None
        if present is not None and will_do(present, lease.now_ms):
            yield Do(lambda: self._release(work))
            return Refreshed(
                Result.FRESH,
                lease.now_ms,
                computed_at_ms=present.computed_at_ms,
                fresh_until_ms=present.fresh_until_ms,
            )
        with self.renewer.holding(self._renewal_of(work)):
            try:
                computed = yield from self._computing(work)
                refreshed: Refreshed = yield Do(lambda: self._conclude(work, lease, present, computed))
            except GeneratorExit:
                raise
            except BaseException:
                yield Do(lambda: self._release(work))
                raise
        return refreshed

    def publish_value(self, work: Work, value: Any) -> Refreshed:
        """Publish a value that the caller has, whoever holds the lease: what is being computed now is older.

        Raises:
            redis.RedisError: the lease could not be taken.
            CodecError: the value cannot be cached as it is; the present one stays.
        """
        work.terms.codec.encode(work.cache_key, value)  # before anybody's lease is voided for nothing
        lease = self.entries.take_lease(work.cache_key, work.token, seize=True)
        return self._conclude(work, lease, lease.present, _Computed(0.0, value))

    def release_later(self, work: Work) -> None:
        """Have a lease released once Redis answers: it may have been taken, though nobody was told in time."""
        self._owe(lambda: self.entries.release_lease(work.cache_key, work.token))

    def _taking(self, work: Work, waiting_since_ms: int) -> Steps[Lease]:
        try:
            lease: Lease = yield Do(
                lambda: self.entries.take_lease(work.cache_key, work.token, waiting_since_ms=waiting_since_ms)
            )
        except (GeneratorExit, RedisError):  # whoever gives up then has it released later
            raise
        except BaseException:
            yield Do(lambda: self._release(work))
            raise
        return lease

    def _renewal_of(self, work: Work) -> Callable[[], object]:
        """Return what renews a lease; one of a loop that was closed in the middle is left to lapse."""
        loop = running_loop()

        def renew() -> object:
            if loop is not None and loop.is_closed():
                return False
            return self.entries.renew_lease(work.cache_key, work.token)

        return renew

    def _computing(self, work: Work) -> Steps[_Computed]:
        started_s = self._clock.monotonic_s()
        terms = work.terms
        try:
            with computing(work.cache_key):
                value = yield Compute(work.function, work.arguments, terms.timeout_s, terms.leaves_thread)
        except BaseException as error:
            if _ends_the_caller(error):
                raise
            return _Computed(self._clock.monotonic_s() - started_s, error=error)
        return _Computed(self._clock.monotonic_s() - started_s, value)

    def _conclude(self, work: Work, lease: Lease, present: Header | None, computed: _Computed) -> Refreshed:
        """Publish what was computed, be it a value or an exception that is cached; or tell those who wait."""
        work.before_publishing()
        error = computed.error
        if error is None:
            try:
                encoded = work.terms.codec.encode(work.cache_key, computed.value)
            except Exception as refused:
                error = refused
            else:
                return self._publish(work, lease, computed, encoded, _header(work, lease, present, computed, encoded))
        if _may_be_cached(error, work.terms, present):
            encoded = Encoded(ERROR, failure.pack(error, work.terms.cache_errors))
            header = _error_header(work, lease, present, computed, error)
            return self._publish(work, lease, replace(computed, error=error), encoded, header)
        self._tell_failure(work, error)
        return Refreshed(
            Result.FAILED,
            lease.now_ms,
            duration_ms=1000 * computed.duration_s,
            error=described(error),
            exception=error,
        )

    def _publish(self, work: Work, lease: Lease, computed: _Computed, encoded: Encoded, header: Header) -> Refreshed:
        refreshed = Refreshed(
            Result.PUBLISHED,
            lease.now_ms,
            computed.value,
            encoded,
            1000 * computed.duration_s,
            computed_at_ms=header.computed_at_ms,
            fresh_until_ms=header.fresh_until_ms,
            exception=computed.error,
        )
        try:
            result = self.entries.publish(
                work.cache_key, work.token, header.expires_at_ms, pack(header, encoded.payload)
            )
        except RedisError as error:
            self._release(work)
            logger.warning("%r was computed, but not cached: %s", work.cache_key, described(error))
            return replace(refreshed, result=Result.FAILED, error=f"not cached: {described(error)}")
        if result is None:
            outlived = OutlivedTtlError(
                f"computing {work.cache_key!r} took {computed.duration_s:.1f} s, longer than its value may be kept "
                f"(ttl {work.terms.ttl_s:g} s, stale_ttl {work.terms.stale_ttl_s:g} s), so it was not cached; raise "
                "the ttl"
            )
            return replace(refreshed, result=Result.FAILED, error=described(outlived))
        if lease.now_ms + refreshed.duration_ms > header.fresh_until_ms:
            logger.warning(
                "computing %r took %.1f s, longer than its value is fresh: it was stale from the start; raise the ttl",
                work.cache_key,
                computed.duration_s,
            )
        return replace(refreshed, result=result)

    def _tell_failure(self, work: Work, error: BaseException) -> None:
        try:
            self.entries.fail_lease(work.cache_key, work.token, failure.pack(error, work.terms.cache_errors, work.ref))
        except RedisError as away:  # the lease lapses by itself, and those who wait try anew
            logger.warning("could not tell that %r has failed: %s", work.cache_key, described(away))

    def _release(self, work: Work) -> None:
        try:
            self.entries.release_lease(work.cache_key, work.token)
        except RedisError as error:  # it lapses by itself
            logger.warning("could not release the lease of %r: %s", work.cache_key, described(error))


def _failed_elsewhere(work: Work, lease: Lease) -> Refreshed:
    exception = failure.restored(lease.failure, work.terms.cache_errors)
    return Refreshed(Result.FAILED, lease.now_ms, error=described(exception), exception=exception, was_elsewhere=True)


def _header(work: Work, lease: Lease, present: Header | None, computed: _Computed, encoded: Encoded) -> Header:
    """Return the header of a value: its age counts from the moment its computation began."""
    terms = work.terms
    fresh_for_ms = terms.fresh_for_ms(work.cache_key, computed.value)
    fresh_until_ms = lease.now_ms + fresh_for_ms
    # A shorter freshness, by jitter or for None, has a shorter end: or every read would have it renewed at once.
    ahead = min(terms.refresh_ahead_s / terms.ttl_s, MOST_AHEAD)
    return Header(
        computed_at_ms=lease.now_ms,
        renew_from_ms=fresh_until_ms - round(ahead * fresh_for_ms),
        fresh_until_ms=fresh_until_ms,
        expires_at_ms=fresh_until_ms + round(1000 * terms.stale_ttl_s),
        useful_from_ms=_useful_from_ms(work.origin, lease, present),
        compute_us=round(1e6 * computed.duration_s),
        origin=work.origin,
        codec=encoded.number,
        ref=_ref(work, present),
    )


def _may_be_cached(error: BaseException, terms: Terms, present: Header | None) -> bool:
    """Say whether an exception is cached: never in the place of a value, which may be served instead of it."""
    return terms.error_fresh_for_ms(error) is not None and (present is None or present.codec == ERROR)


def _error_header(
    work: Work, lease: Lease, present: Header | None, computed: _Computed, error: BaseException
) -> Header:
    """Return the header of an exception: it lasts from the moment it was raised, and is never served when stale."""
    raised_at_ms = lease.now_ms + round(1000 * computed.duration_s)
    expires_at_ms = raised_at_ms + (work.terms.error_fresh_for_ms(error) or 0)
    return Header(
        computed_at_ms=lease.now_ms,
        renew_from_ms=expires_at_ms,
        fresh_until_ms=expires_at_ms,
        expires_at_ms=expires_at_ms,
        useful_from_ms=_useful_from_ms(work.origin, lease, present),
        compute_us=round(1e6 * computed.duration_s),
        origin=work.origin,
        codec=ERROR,
        ref=_ref(work, present),
    )


def _ref(work: Work, present: Header | None) -> bytes:
    return work.ref.encode() or (present.ref if present else b"")


def _useful_from_ms(origin: Origin, lease: Lease, present: Header | None) -> int:
    if origin == Origin.MISS:
        return 0
    return lease.now_ms if present is None else max(present.fresh_until_ms, lease.now_ms)


def _is_same_target(present: Header, work: Work) -> bool:
    """Say whether an entry is this target's; one written or asked for by key alone is whoever's the key is."""
    return not present.ref or not work.ref or present.ref == work.ref.encode()


def _ends_the_caller(error: BaseException) -> bool:
    """Say whether this is a cancellation, or Ctrl-C or an exit from a signal's handler in the main thread."""
    is_exit = isinstance(error, KeyboardInterrupt | SystemExit)
    is_cancelled = isinstance(error, asyncio.CancelledError | GeneratorExit)
    return is_cancelled or (is_exit and threading.current_thread() is threading.main_thread())
