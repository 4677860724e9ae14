"""Unconditional policies: never refresh (a plain ttl cache, the baseline), or refresh every key for ever."""

from warmer.simulation.policies.renewal import replay_renewals
from warmer.simulation.result import ReplayResult
from warmer.simulation.trace.by_key import KeyReads, ReadsByKey


class Never:
    """Lets every value expire: a plain ttl cache."""

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


def replay_baseline(by_key: ReadsByKey) -> ReplayResult:
    """Replay a plain ttl cache: a read that finds no fresh value computes it.

    This is the least number of computations that can serve the reads: the minimum cover of points by intervals of one
    length.
    """

    def never(key: KeyReads) -> Never:
        return Never()

    return replay_renewals(by_key, never, None)


def replay_all(by_key: ReadsByKey, baseline: ReplayResult) -> ReplayResult:
    """Replay a cache that refreshes every key at the end of its freshness, from its first read on.

    Its load only grows, so the peak of refreshes lies in the last ttl and the longest computation before it.
    """

    def always(key: KeyReads) -> Always:
        return Always()

    max_cost_s = max(key.max_cost_s for key in by_key.keys)
    return replay_renewals(by_key, always, baseline, by_key.end_s - by_key.ttl_s - max_cost_s)
