"""Publishes what was computed, many values at once; or tells those who wait that there is none."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

from redis.exceptions import RedisError

from warmer import failure
from warmer.computed import Computed
from warmer.errors import described
from warmer.publication import Entry, Refreshed, Work, ended, entry_of, failed, is_stale_from_the_start
from warmer.store import Entries, Lease, Result

logger = logging.getLogger("warmer.refresh")


class Done(NamedTuple):
    """A computation that has ended, under a lease.

    Args:
        work: What it was for.
        lease: The lease.
        computed: What came of it.
    """

    work: Work
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

    def release(self, works: Sequence[Work]) -> None:
        """Give leases up without a word; where Redis does not answer, they lapse by themselves."""
        try:
            self._entries.release_leases([(work.cache_key, work.token) for work in works])
        except RedisError as error:
            what = f"the lease of {works[0].cache_key!r}" if len(works) == 1 else f"{len(works)} leases"
            logger.warning("could not release %s: %s", what, described(error))

    def _send(self, entries: Sequence[tuple[Work, Entry]]) -> list[Result | RedisError | None]:
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
            (work.cache_key, work.token, failure.pack(computed.error, work.terms.cache_errors, work.ref))
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
