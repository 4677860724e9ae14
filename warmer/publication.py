"""What is written when a computation has ended: an entry's header and payload, as pure functions of what is known."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from warmer import failure
from warmer.codec import ERROR, Encoded
from warmer.computed import Computed
from warmer.entry import Header, Origin, pack
from warmer.errors import OutlivedTtlError, described
from warmer.store import Lease, Result
from warmer.terms import Terms

MOST_AHEAD = 0.9
"""By at most this part of its freshness a value is renewed ahead."""


class Work(NamedTuple):
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


def present_of(work: Work, lease: Lease) -> Header | None:
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


def entry_of(work: Work, lease: Lease, computed: Computed) -> Entry | None:
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
        return Entry(_error_header(work, lease, present, computed, error), failure.pack(error, work.terms.cache_errors))
    return None


def ended(
    work: Work, lease: Lease, computed: Computed, entry: Entry, result: Result | None, error: str = ""
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


def _value_header(work: Work, lease: Lease, present: Header | None, computed: Computed, encoded: Encoded) -> Header:
    """Return the header of a value: its age counts from the moment its computation began."""
    terms = work.terms
    fresh_for_ms = terms.fresh_for_ms(work.cache_key, computed.is_none)
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


def _error_header(work: Work, lease: Lease, present: Header | None, computed: Computed, error: BaseException) -> Header:
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


def _may_be_cached(error: BaseException, terms: Terms, present: Header | None) -> bool:
    """Say whether an exception is cached: never in the place of a value, which may be served instead of it."""
    return terms.error_fresh_for_ms(error) is not None and (present is None or present.codec == ERROR)


def _useful_from_ms(origin: Origin, lease: Lease, present: Header | None) -> int:
    if origin == Origin.MISS:
        return 0
    return lease.now_ms if present is None else max(present.fresh_until_ms, lease.now_ms)


def _ref(work: Work, present: Header | None) -> bytes:
    return work.ref.encode() or (present.ref if present else b"")


def _outlived(work: Work, computed: Computed) -> OutlivedTtlError:
    return OutlivedTtlError(
        f"computing {work.cache_key!r} took {computed.duration_s:.1f} s, longer than its value may be kept "
        f"(ttl {work.terms.ttl_s:g} s, stale_ttl {work.terms.stale_ttl_s:g} s), so it was not cached; raise the ttl"
    )
