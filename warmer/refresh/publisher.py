"""What is written when a computation has ended: an entry's header and payload, as pure functions of what is known."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from warmer.codec import ERROR, Codec, Encoded, cached_error
from warmer.codec.entry import Header, Origin, pack
from warmer.errors import OutlivedTtlError, described
from warmer.refresh.cache_options import CacheOptions
from warmer.store import Entries, Lease, Result

logger = logging.getLogger("warmer.refresh")


class Computed(NamedTuple):
    """What came of a computation.

    Args:
        duration_s: How long it took.
        encoded: The value as bytes; None if there is none.
        is_none: Whether the value was None.
        error: What the computation raised, or why its value cannot be cached.
        crashed: How the process ended that computed it, such as "signal SIGSEGV"; "" unless it died.
    """

    duration_s: float
    encoded: Encoded | None = None
    is_none: bool = False
    error: BaseException | None = None
    crashed: str = ""


def computed_of(
    codec: Codec, cache_key: str, duration_s: float, value: Any, error: BaseException | None = None
) -> Computed:
    """Return what came of a computation: a value as bytes, what was raised, or why the value cannot be cached.

    Args:
        codec: How the value is stored.
        cache_key: Where.
        duration_s: How long it took.
        value: The value, unless there is an error.
        error: What the computation raised.

    Example:
        >>> from warmer.codec import Codec
        >>> computed_of(Codec(), "answer", 0.5, 42).encoded
        Encoded(number=1, payload=b'42')
    """
    if error is not None:
        return Computed(duration_s, error=error)
    try:
        return Computed(duration_s, codec.encode(cache_key, value), value is None)
    except Exception as refused:
        return Computed(duration_s, error=refused)


MOST_AHEAD = 0.9
"""By at most this part of its freshness a value is renewed ahead."""


class RefreshRequest(NamedTuple):
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
    terms: CacheOptions
    origin: Origin
    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    token: str
    before_publishing: Callable[[], None] = lambda: None


class Refreshed(NamedTuple):
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


class Entry(NamedTuple):
    """What is written.

    Args:
        header: Its header.
        payload: The value, or an exception, as bytes.
    """

    header: Header
    payload: bytes

    def packed(self) -> bytes:
        """Return the bytes as they are stored."""
        return pack(self.header, self.payload)


def present_of(work: RefreshRequest, lease: Lease) -> Header | None:
    """Return the header of the entry that is there, if it is this target's.

    One that was written, or is asked for, by key alone is whoever's the key is.
    """
    present = lease.present
    if present is None or not present.ref or not work.ref or present.ref == work.ref.encode():
        return present
    return None


def fresh_already(present: Header, now_ms: int) -> Refreshed:
    """Return how a refresh ended that found a value which will do.

    Args:
        present: Header of that value.
        now_ms: The server's time when it was found.
    """
    return Refreshed(Result.FRESH, now_ms, computed_at_ms=present.computed_at_ms, fresh_until_ms=present.fresh_until_ms)


def entry_of(work: RefreshRequest, lease: Lease, computed: Computed) -> Entry | None:
    """Return what is to be written; None if it failed, and nothing is.

    Args:
        work: What was computed.
        lease: The lease, from whose moment the value's age counts.
        computed: What came of it.
    """
    present = present_of(work, lease)
    if computed.encoded is not None:
        return Entry(_value_header(work, lease, present, computed, computed.encoded), computed.encoded.payload)
    error = computed.error
    if error is not None and _may_be_cached(error, work.terms, present):
        return Entry(
            _error_header(work, lease, present, computed, error), cached_error.pack(error, work.terms.cache_errors)
        )
    return None


def ended(
    work: RefreshRequest, lease: Lease, computed: Computed, entry: Entry, result: Result | None, error: str = ""
) -> Refreshed:
    """Return how a refresh ended whose entry was sent.

    Args:
        work: What was computed.
        lease: The lease.
        computed: What came of it.
        entry: What was sent.
        result: PUBLISHED or LOST; None when the entry had expired by then.
        error: Why it was not cached.
    """
    header = entry.header
    return Refreshed(
        result or Result.FAILED,
        lease.now_ms,
        encoded=Encoded(header.codec, entry.payload),
        duration_ms=1000 * computed.duration_s,
        computed_at_ms=header.computed_at_ms,
        fresh_until_ms=header.fresh_until_ms,
        error=error if result else described(_outlived(work, computed)),
        exception=computed.error,
    )


def failed(lease: Lease, computed: Computed) -> Refreshed:
    """Return how a refresh ended that has nothing to write."""
    error = computed.error
    crash = f"its process was ended by {computed.crashed}" if computed.crashed else ""
    return Refreshed(
        Result.CRASHED if crash else Result.FAILED,
        lease.now_ms,
        duration_ms=1000 * computed.duration_s,
        error=crash or (described(error) if error else ""),
        exception=error,
    )


def is_stale_from_the_start(refreshed: Refreshed) -> bool:
    """Say whether computing a value took longer than it is fresh."""
    return refreshed.now_ms + refreshed.duration_ms > refreshed.fresh_until_ms > 0


def _value_header(
    work: RefreshRequest, lease: Lease, present: Header | None, computed: Computed, encoded: Encoded
) -> Header:
    """Return the header of a value: its age counts from the moment its computation began."""
    terms = work.terms
    fresh_for_ms = terms.fresh_for_ms(work.cache_key, computed.is_none)
    fresh_until_ms = lease.now_ms + fresh_for_ms
    # A shorter freshness, by jitter or for None, has a shorter end: or every read would have it renewed at once.
    ahead = min(terms.refresh_ahead_s / terms.ttl_s, MOST_AHEAD)
    return Header(
        computed_at_ms=lease.now_ms,
        refresh_from_ms=fresh_until_ms - round(ahead * fresh_for_ms),
        fresh_until_ms=fresh_until_ms,
        expires_at_ms=fresh_until_ms + round(1000 * terms.stale_ttl_s),
        useful_from_ms=_useful_from_ms(work.origin, lease, present),
        compute_us=round(1e6 * computed.duration_s),
        origin=work.origin,
        codec=encoded.number,
        ref=_ref(work, present),
    )


def _error_header(
    work: RefreshRequest, lease: Lease, present: Header | None, computed: Computed, error: BaseException
) -> Header:
    """Return the header of an exception: it lasts from the moment it was raised, and is never served when stale."""
    raised_at_ms = lease.now_ms + round(1000 * computed.duration_s)
    expires_at_ms = raised_at_ms + (work.terms.error_fresh_for_ms(error) or 0)
    return Header(
        computed_at_ms=lease.now_ms,
        refresh_from_ms=expires_at_ms,
        fresh_until_ms=expires_at_ms,
        expires_at_ms=expires_at_ms,
        useful_from_ms=_useful_from_ms(work.origin, lease, present),
        compute_us=round(1e6 * computed.duration_s),
        origin=work.origin,
        codec=ERROR,
        ref=_ref(work, present),
    )


def _may_be_cached(error: BaseException, terms: CacheOptions, present: Header | None) -> bool:
    """Say whether an exception is cached: never in the place of a value, which may be served instead of it."""
    return terms.error_fresh_for_ms(error) is not None and (present is None or present.codec == ERROR)


def _useful_from_ms(origin: Origin, lease: Lease, present: Header | None) -> int:
    if origin == Origin.MISS:
        return 0
    return lease.now_ms if present is None else max(present.fresh_until_ms, lease.now_ms)


def _ref(work: RefreshRequest, present: Header | None) -> bytes:
    return work.ref.encode() or (present.ref if present else b"")


def _outlived(work: RefreshRequest, computed: Computed) -> OutlivedTtlError:
    return OutlivedTtlError(
        f"computing {work.cache_key!r} took {computed.duration_s:.1f} s, longer than its value may be kept "
        f"(ttl {work.terms.ttl_s:g} s, stale_ttl {work.terms.stale_ttl_s:g} s), so it was not cached; raise the ttl"
    )


class Done(NamedTuple):
    """A computation that has ended, under a lease.

    Args:
        work: What it was for.
        lease: The lease.
        computed: What came of it.
    """

    work: RefreshRequest
    lease: Lease
    computed: Computed


class Publisher:
    """Ends leases: with a value, with an exception that is cached, or with word of a failure.

    Args:
        entries: Where values and leases are.
    """

    def __init__(self, entries: Entries) -> None:
        """Prepare."""
        self._entries = entries

    def publish(self, done: Sequence[Done]) -> list[Refreshed]:
        """Publish values, and say of each how its refresh has ended; one that Redis does not take has failed."""
        entries = [entry_of(*one) for one in done]
        sent = iter(self._send([(one.work, entry) for one, entry in zip(done, entries, strict=True) if entry]))
        refreshed = [
            failed(one.lease, one.computed) if entry is None else _sent(one, entry, next(sent))
            for one, entry in zip(done, entries, strict=True)
        ]
        self._tell_failures([one for one, entry in zip(done, entries, strict=True) if entry is None])
        return refreshed

    def release(self, works: Sequence[RefreshRequest]) -> None:
        """Give leases up without a word; where Redis does not answer, they lapse by themselves."""
        try:
            self._entries.release_leases([(work.cache_key, work.token) for work in works])
        except RedisError as error:
            what = f"the lease of {works[0].cache_key!r}" if len(works) == 1 else f"{len(works)} leases"
            logger.warning("could not release %s: %s", what, described(error))

    def _send(self, entries: Sequence[tuple[RefreshRequest, Entry]]) -> list[Result | RedisError | None]:
        try:
            return list(
                self._entries.publish_many(
                    [
                        (work.cache_key, work.token, entry.header.expires_at_ms, entry.packed())
                        for work, entry in entries
                    ]
                )
            )
        except RedisError as error:
            what = repr(entries[0][0].cache_key) if len(entries) == 1 else f"{len(entries)} values"
            logger.warning("%s: computed, but not cached: %s", what, described(error))
            self.release([work for work, _ in entries])
            return [error] * len(entries)

    def _tell_failures(self, done: Sequence[Done]) -> None:
        failures = [
            (work.cache_key, work.token, cached_error.pack(computed.error, work.terms.cache_errors, work.ref))
            for work, _, computed in done
            if computed.error is not None
        ]
        try:
            self._entries.fail_leases(failures)
        except RedisError as away:  # the leases lapse by themselves, and those who wait try anew
            logger.warning("could not tell of %d failed computations: %s", len(failures), described(away))
        crashed = [work for work, _, computed in done if computed.error is None]
        if crashed:
            self.release(crashed)


def _sent(one: Done, entry: Entry, answer: Result | RedisError | None) -> Refreshed:
    if isinstance(answer, RedisError):
        return ended(*one, entry, Result.FAILED, f"not cached: {described(answer)}")
    refreshed = ended(*one, entry, answer)
    if answer is Result.PUBLISHED and is_stale_from_the_start(refreshed):
        logger.warning(
            "computing %r took %.1f s, longer than its value is fresh: it was stale from the start; raise the ttl",
            one.work.cache_key,
            one.computed.duration_s,
        )
    return refreshed
