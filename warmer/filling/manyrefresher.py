"""Lease and publication of many values that are computed together, as `Refresher` does it for one."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from warmer import failure
from warmer.batch import Part
from warmer.computed import Computed, computed_of
from warmer.entry import Header
from warmer.publication import Refreshed, Work, present_of
from warmer.publishing import Done
from warmer.refresh import Refresher
from warmer.store import Lease


class Held(NamedTuple):
    """A value that is to be computed: its lease is held.

    Args:
        work: What to compute.
        lease: The lease.
        present: Header of the present entry, if that is the same target's.
    """

    work: Work
    lease: Lease
    present: Header | None


class ManyRefresher:
    """The refresh routine, step by step, for values that are computed together.

    Args:
        refresher: The routine for one.
    """

    def __init__(self, refresher: Refresher) -> None:
        """Start idle."""
        self._refresher = refresher

    def take(self, works: Sequence[Work], waiting_since_ms: Sequence[int]) -> list[Lease]:
        """Take the leases that can be had.

        Args:
            works: What is to be computed.
            waiting_since_ms: For each since when the caller has been waiting for another's computation, or 0; if that
                has failed since, the failure is told.

        Raises:
            redis.RedisError: Redis did not answer; some may have been taken.
        """
        take = self._refresher.entries.take_leases
        asked = zip(works, waiting_since_ms, strict=True)
        leases = take([(work.cache_key, work.token, since_ms) for work, since_ms in asked])
        for index, (work, lease) in enumerate(zip(works, leases, strict=True)):
            if lease.failure and not failure.is_of(lease.failure, work.ref):  # but of another target with the same key
                (leases[index],) = take([(work.cache_key, work.token, 0)])
        return leases

    def renewing(self, works: Sequence[Work]) -> AbstractContextManager[None]:
        """Keep leases for as long as the block runs."""
        return self._refresher.renewing(works)

    def counting(self, work: Work) -> AbstractContextManager[None]:
        """Count one computation in this block under the limit that protects what it asks."""
        return self._refresher.counting(work.terms)

    def release(self, works: Sequence[Work]) -> None:
        """Give leases back; those that are not held any more are left alone."""
        self._refresher.publisher.release(works)

    def release_later(self, works: Sequence[Work]) -> None:
        """Have leases released once Redis answers: they may have been taken, though nobody was told in time."""
        for work in works:
            self._refresher.release_later(work)

    def conclude(self, held: Sequence[Held], parts: Sequence[Part]) -> list[Refreshed]:
        """Publish what was computed, be it values or exceptions that are cached; or tell those who wait.

        Args:
            held: What was to be computed.
            parts: What came of each.

        Returns:
            How each ended.
        """
        for one in held:
            one.work.before_publishing()
        done = [Done(one.work, one.lease, _computed(one.work, part)) for one, part in zip(held, parts, strict=True)]
        return [
            refreshed if refreshed.exception else refreshed._replace(value=part.value)
            for refreshed, part in zip(self._refresher.publisher.publish(done), parts, strict=True)
        ]


def _computed(work: Work, part: Part) -> Computed:
    return computed_of(work.terms.codec, work.cache_key, part.duration_s, part.value, part.error)


def held_by(work: Work, lease: Lease) -> Held:
    """Return what is to be computed under a lease that was taken."""
    return Held(work, lease, present_of(work, lease))
