"""The two ends: a plain cache that never refreshes, and one that refreshes every key for ever."""

from warmer.simulation.policies.renewal import replay_renewals
from warmer.simulation.result import Replayed
from warmer.simulation.trace.by_key import KeyReads, ReadsByKey


class Never:
    """Lets every value go: a plain cache."""

    def read(self, reads: int) -> None:
        """Learn nothing."""

    def renew(self, fresh_until_s: float, row: int, needed: int) -> int:
        """Return 0."""
        return 0


class Always:
    """Renews every value for ever, whether it is read or not."""

    def read(self, reads: int) -> None:
        """Learn nothing."""

    def renew(self, fresh_until_s: float, row: int, needed: int) -> int:
        """Return all that is needed."""
        return needed


def replay_plain(course: ReadsByKey) -> Replayed:
    """Replay a plain cache: a read that finds no fresh value computes it.

    Computing only then, and each value for a whole ttl, is the least number of computations that can serve the reads:
    the minimum cover of points by intervals of one length.
    """

    def never(key: KeyReads) -> Never:
        return Never()

    return replay_renewals(course, never, None)


def replay_all(course: ReadsByKey, plain: Replayed) -> Replayed:
    """Replay a cache that refreshes every key at the end of its freshness, from its first read on for ever.

    Its load only grows, so the peak of refreshes is looked for in the last ttl and the longest computation before it.
    """

    def always(key: KeyReads) -> Always:
        return Always()

    longest_s = max(key.highest_cost_s for key in course.keys)
    return replay_renewals(course, always, plain, course.end_s - course.ttl_s - longest_s)
