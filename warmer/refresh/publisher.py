"""Publisher: writes computed values under their leases, or reports to waiting readers that the computation failed."""

import logging
from collections.abc import Iterator, Sequence

from redis.exceptions import RedisError

from warmer.codec import ERROR, Codec, Encoded, cached_error
from warmer.codec.entry import Header, Origin, pack
from warmer.errors import OutlivedTtlError, described
from warmer.policy import jittered_ttl_s
from warmer.refresh.cache_options import CacheOptions
from warmer.refresh.refreshed import Computed, Refreshed
from warmer.refresh.request import LeasedWork, leases_of
from warmer.store import Entries, Result

logger = logging.getLogger("warmer.refresh")

MAX_AHEAD = 0.9
"""By at most this part of its freshness a value is refreshed ahead."""


class Publisher:
    """Ends leases: with a value, with a cached error, with the report of a failure, or without a word.

    Args:
        entries: Where values and leases are.
    """

    def __init__(self, entries: Entries) -> None:
        """Prepare."""
        self._entries = entries

    def publish(self, works: Sequence[LeasedWork], computed: Sequence[Computed]) -> list[Refreshed]:
        """Publish what was computed, and give the leases up.

        Args:
            works: What was to be computed.
            computed: The outcome of each computation; a value without bytes is encoded here.

        Returns:
            How each refresh ended, in their order; a value that Redis does not take has failed.
        """
        encoded = [
            encoded_by(work.options.codec, work.request.cache_key, one)
            for work, one in zip(works, computed, strict=True)
        ]
        entries = list(map(_entry, works, encoded))
        answers = self._write(works, entries)
        refreshed, failed = [], []
        for work, one, entry in zip(works, encoded, entries, strict=True):
            if entry is None:
                failed.append((work, one))
                refreshed.append(_failed(work, one))
            else:
                refreshed.append(_written(work, one, entry, next(answers)))
        if failed:
            self._report_failures(failed)
        return refreshed

    def release(self, leases: Sequence[tuple[str, str]]) -> None:
        """Give leases up without a word; where Redis does not answer, they lapse by themselves.

        Args:
            leases: Key and token of each; those that are no longer held are left alone.
        """
        try:
            self._entries.release_leases(leases)
        except RedisError as error:
            what = f"the lease of {leases[0][0]!r}" if len(leases) == 1 else f"{len(leases)} leases"
            logger.warning("could not release %s: %s", what, described(error))

    def _write(
        self, works: Sequence[LeasedWork], entries: Sequence[tuple[Header, bytes] | None]
    ) -> Iterator[Result | RedisError | None]:
        """Send entries; return for each that there is PUBLISHED, LOST, None if it had expired, or Redis's error."""
        sent = [
            (work.request.cache_key, work.token, entry[0].expires_at_ms, pack(*entry))
            for work, entry in zip(works, entries, strict=True)
            if entry is not None
        ]
        try:
            return iter(self._entries.publish_many(sent))
        except RedisError as error:
            what = repr(sent[0][0]) if len(sent) == 1 else f"{len(sent)} values"
            logger.warning("%s: computed, but not cached: %s", what, described(error))
            self.release([(cache_key, token) for cache_key, token, _, _ in sent])
            return iter([error] * len(sent))

    def _report_failures(self, failed: Sequence[tuple[LeasedWork, Computed]]) -> None:
        failures = [
            (work.request.cache_key, work.token, cached_error.pack(one.error, work.options.cache_errors, work.ref))
            for work, one in failed
            if one.error is not None
        ]
        try:
            self._entries.fail_leases(failures)
        except RedisError as away:  # the leases lapse by themselves, and waiting readers try again
            logger.warning("could not report %d failed computations: %s", len(failures), described(away))
        if crashed := [work for work, one in failed if one.error is None]:
            self.release(leases_of(crashed))


Entry = tuple[Header, bytes]
"""The bytes to write: an entry's header, and the value or the exception as bytes."""


def encoded_by(codec: Codec, cache_key: str, computed: Computed) -> Computed:
    """Return a computation's outcome with its value as bytes, or with the reason why it cannot be cached.

    Args:
        codec: How the value is stored.
        cache_key: Where.
        computed: The outcome; one with an error, or with bytes already, is returned as it is.

    Example:
        >>> encoded_by(Codec(), "answer", Computed(42)).encoded
        Encoded(number=1, payload=b'42')
    """
    if computed.encoded is not None or computed.error is not None or computed.crashed:
        return computed
    try:
        return computed._replace(encoded=codec.encode(cache_key, computed.value), is_none=computed.value is None)
    except Exception as refused:
        return Computed(error=refused, duration_s=computed.duration_s)


# --- what is written --------------------------------------------------------------------------------------------------
def _entry(work: LeasedWork, computed: Computed) -> Entry | None:
    """Return what is to be written; None if the computation failed, and its error is not cached."""
    if computed.encoded is not None:
        return _value_header(work, computed, computed.encoded), computed.encoded.payload
    error = computed.error
    if error is None or not _may_be_cached(error, work.options, work.present):
        return None
    return _error_header(work, computed, error), cached_error.pack(error, work.options.cache_errors)


def _value_header(work: LeasedWork, computed: Computed, encoded: Encoded) -> Header:
    """Return the header of a value: its age counts from the moment its computation began."""
    options = work.options
    fresh_ms = fresh_for_ms(options, work.request.cache_key, computed.is_none)
    fresh_until_ms = work.leased_at_ms + fresh_ms
    # A shorter freshness, by jitter or for None, has a shorter end: or every read would have it refreshed at once.
    ahead = min(options.refresh_ahead_s / options.ttl_s, MAX_AHEAD)
    return Header(
        computed_at_ms=work.leased_at_ms,
        refresh_from_ms=fresh_until_ms - round(ahead * fresh_ms),
        fresh_until_ms=fresh_until_ms,
        expires_at_ms=fresh_until_ms + round(1000 * options.stale_ttl_s),
        useful_from_ms=_useful_from_ms(work),
        compute_us=round(1e6 * computed.duration_s),
        origin=work.origin,
        codec=encoded.number,
        ref=_written_ref(work),
    )


def fresh_for_ms(options: CacheOptions, cache_key: str, is_none: bool) -> int:
    """Return for how many milliseconds a value is fresh, or a None: its ttl, less its key's share of the jitter."""
    ttl_s = options.negative_ttl_s if is_none and options.negative_ttl_s is not None else options.ttl_s
    return round(1000 * jittered_ttl_s(ttl_s, options.jitter, cache_key))


def _error_header(work: LeasedWork, computed: Computed, error: BaseException) -> Header:
    """Return the header of an exception: it lasts from the moment it was raised, and is never served when stale."""
    raised_at_ms = work.leased_at_ms + round(1000 * computed.duration_s)
    expires_at_ms = raised_at_ms + (work.options.error_fresh_for_ms(error) or 0)
    return Header(
        computed_at_ms=work.leased_at_ms,
        refresh_from_ms=expires_at_ms,
        fresh_until_ms=expires_at_ms,
        expires_at_ms=expires_at_ms,
        useful_from_ms=_useful_from_ms(work),
        compute_us=round(1e6 * computed.duration_s),
        origin=work.origin,
        codec=ERROR,
        ref=_written_ref(work),
    )


def _may_be_cached(error: BaseException, options: CacheOptions, present: Header | None) -> bool:
    """Whether an exception is cached: never in the place of a value, which may be served instead of it."""
    return options.error_fresh_for_ms(error) is not None and (present is None or present.codec == ERROR)


def _useful_from_ms(work: LeasedWork) -> int:
    if work.origin == Origin.MISS:
        return 0
    return work.leased_at_ms if work.present is None else max(work.present.fresh_until_ms, work.leased_at_ms)


def _written_ref(work: LeasedWork) -> bytes:
    return work.request.ref.encode() or (work.present.ref if work.present else b"")


# --- how a refresh ended ----------------------------------------------------------------------------------------------
def _written(work: LeasedWork, computed: Computed, entry: Entry, answer: Result | RedisError | None) -> Refreshed:
    """Return how a refresh ended whose entry was sent."""
    header, payload = entry
    result, error = Result.FAILED, ""
    if isinstance(answer, RedisError):
        error = f"not cached: {described(answer)}"
    elif answer is None:
        error = described(_outlived(work, computed))
    else:
        result = answer
    refreshed = Refreshed(
        work.request.ref,
        work.origin,
        result,
        work.leased_at_ms,
        computed.value,
        Encoded(header.codec, payload),
        1000 * computed.duration_s,
        header.computed_at_ms,
        header.fresh_until_ms,
        error,
        computed.error,
    )
    if result is Result.PUBLISHED and refreshed.now_ms + refreshed.duration_ms > header.fresh_until_ms:
        logger.warning(
            "computing %r took %.1f s, longer than its value is fresh: it was stale from the start; raise the ttl",
            work.request.cache_key,
            computed.duration_s,
        )
    return refreshed


def _failed(work: LeasedWork, computed: Computed) -> Refreshed:
    """Return how a refresh ended that has nothing to write."""
    error = computed.error
    crash = f"its process was ended by {computed.crashed}" if computed.crashed else ""
    return Refreshed(
        work.request.ref,
        work.origin,
        Result.CRASHED if crash else Result.FAILED,
        work.leased_at_ms,
        duration_ms=1000 * computed.duration_s,
        error=crash or (described(error) if error else ""),
        exception=error,
    )


def _outlived(work: LeasedWork, computed: Computed) -> OutlivedTtlError:
    options = work.options
    return OutlivedTtlError(
        f"computing {work.request.cache_key!r} took {computed.duration_s:.1f} s, longer than its value may be kept "
        f"(ttl {options.ttl_s:g} s, stale_ttl {options.stale_ttl_s:g} s), so it was not cached; raise the ttl"
    )
