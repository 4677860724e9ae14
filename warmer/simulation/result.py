"""What a replay has found, beside what a plain cache does with the same reads."""

from dataclasses import dataclass, fields
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a policy did with the reads after the warm-up. Counts are fractional between two points of a frontier.

    Args:
        reads: Reads by users.
        misses: Computations that users waited for; reads of one row share one.
        compulsory: Misses that were the first read of their key in the whole trace: no renewal can remove them.
        refreshes: Computations ahead of reads.
        wasted: Refreshes of which no read had any use: none came after the value before would have expired and before
            the next computation.
        compute_s: Seconds of all computations; None if the trace has no costs.
        plain_misses: Computations of a plain cache, of the same ttl, with the same reads.
        plain_compute_s: Seconds of those; None if the trace has no costs.
        peak_concurrency: The most computations under way in any one second.

    Example:
        >>> replayed = Replayed(
        ...     reads=1000, misses=60, compulsory=20, refreshes=65, wasted=25, compute_s=None,
        ...     plain_misses=100, plain_compute_s=None, peak_concurrency=3,
        ... )
        >>> replayed.miss_ratio, replayed.compute_ratio, replayed.removed
        (0.06, 1.25, 0.5)
    """

    reads: float
    misses: float
    compulsory: float
    refreshes: float
    wasted: float
    compute_s: float | None
    plain_misses: float
    plain_compute_s: float | None
    peak_concurrency: float

    @property
    def miss_ratio(self) -> float:
        """The part of reads that begin a computation their user waits for."""
        return _ratio(self.misses, self.reads)

    @property
    def plain_miss_ratio(self) -> float:
        """The same of a plain cache."""
        return _ratio(self.plain_misses, self.reads)

    @property
    def compulsory_ratio(self) -> float:
        """The part of reads that are the first of their key."""
        return _ratio(self.compulsory, self.reads)

    @property
    def compute_ratio(self) -> float:
        """Computations, as a multiple of a plain cache's."""
        return _ratio(self.misses + self.refreshes, self.plain_misses)

    @property
    def compute_s_ratio(self) -> float | None:
        """Compute seconds, as a multiple of a plain cache's; None if the trace has no costs."""
        if self.compute_s is None or self.plain_compute_s is None:
            return None
        return _ratio(self.compute_s, self.plain_compute_s)

    @property
    def removed(self) -> float:
        """The part of the plain cache's misses, first reads aside, that users do not see."""
        return _ratio(self.plain_misses - self.misses, self.plain_misses - self.compulsory)

    @property
    def wasted_ratio(self) -> float:
        """The part of refreshes that were wasted."""
        return _ratio(self.wasted, self.refreshes)

    def towards(self, other: "Replayed", share: float) -> "Replayed":
        """Return what comes out if this part of keys, chosen by lot, is treated as in another replay of the same reads.

        Args:
            other: The other replay.
            share: From 0 (this one) to 1 (the other one).
        """
        mixed: dict[str, Any] = {}
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            mixed[field.name] = None if mine is None or theirs is None else mine + share * (theirs - mine)
        return Replayed(**mixed)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


class Finding(NamedTuple):
    """One policy on one trace.

    Args:
        trace: The trace's name.
        ttl_s: How long values were fresh, in seconds.
        policy: The policy's name.
        extra_compute: What it was told to spend beyond a plain cache, such as 0.25; None for a policy that takes no
            orders.
        replayed: What it did.
    """

    trace: str
    ttl_s: float
    policy: str
    extra_compute: float | None
    replayed: Replayed

    def as_json(self) -> dict[str, Any]:
        """Return the row as `warmer simulate --json` prints it; ratios have six decimals."""
        replayed = self.replayed
        ratios = {
            "miss_ratio": replayed.miss_ratio,
            "plain_miss_ratio": replayed.plain_miss_ratio,
            "compulsory_ratio": replayed.compulsory_ratio,
            "compute_ratio": replayed.compute_ratio,
            "compute_s_ratio": replayed.compute_s_ratio,
            "removed": replayed.removed,
            "wasted_ratio": replayed.wasted_ratio,
        }
        return {
            "trace": self.trace,
            "ttl_s": self.ttl_s,
            "policy": self.policy,
            "extra_compute": self.extra_compute,
            **{name: None if ratio is None else round(ratio, 6) for name, ratio in ratios.items()},
            "reads": round(replayed.reads),
            "peak_concurrency": round(replayed.peak_concurrency),
        }
