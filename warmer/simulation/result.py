"""Results of replays, beside a plain ttl cache (the baseline) on the same reads."""

from dataclasses import dataclass, fields
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """Counts of one replay after the warm-up; they are fractional between two points of a frontier.

    Args:
        reads: Reads by users.
        misses: Computations that users waited for; reads of one row share one.
        compulsory: Misses that were the first read of their key in the whole trace: no refresh can remove them.
        refreshes: Computations ahead of reads.
        wasted: Refreshes whose value no read needed: none came between the expiry of the value before and the next
            computation.
        compute_s: Seconds of all computations; None if the trace has no costs.
        baseline_misses: Computations of the baseline.
        baseline_compute_s: Seconds of those; None if the trace has no costs.
        peak_concurrency: The most computations at once in any one second.

    Example:
        >>> result = ReplayResult(
        ...     reads=1000, misses=60, compulsory=20, refreshes=65, wasted=25, compute_s=None,
        ...     baseline_misses=100, baseline_compute_s=None, peak_concurrency=3,
        ... )
        >>> result.miss_ratio, result.compute_ratio, result.removed
        (0.06, 1.25, 0.5)
    """

    reads: float
    misses: float
    compulsory: float
    refreshes: float
    wasted: float
    compute_s: float | None
    baseline_misses: float
    baseline_compute_s: float | None
    peak_concurrency: float

    @property
    def miss_ratio(self) -> float:
        """The part of reads that begin a computation their user waits for."""
        return _ratio(self.misses, self.reads)

    @property
    def baseline_miss_ratio(self) -> float:
        """The miss ratio of the baseline."""
        return _ratio(self.baseline_misses, self.reads)

    @property
    def compulsory_ratio(self) -> float:
        """The part of reads that are the first of their key."""
        return _ratio(self.compulsory, self.reads)

    @property
    def compute_ratio(self) -> float:
        """Computations, as a multiple of the baseline's."""
        return _ratio(self.misses + self.refreshes, self.baseline_misses)

    @property
    def compute_s_ratio(self) -> float | None:
        """Compute seconds, as a multiple of the baseline's; None if the trace has no costs."""
        if self.compute_s is None or self.baseline_compute_s is None:
            return None
        return _ratio(self.compute_s, self.baseline_compute_s)

    @property
    def removed(self) -> float:
        """The part of the baseline's misses, first reads excluded, that users do not see."""
        return _ratio(self.baseline_misses - self.misses, self.baseline_misses - self.compulsory)

    @property
    def wasted_ratio(self) -> float:
        """The part of refreshes that were wasted."""
        return _ratio(self.wasted, self.refreshes)

    def mixed_with(self, other: "ReplayResult", share: float) -> "ReplayResult":
        """Return the result if a random share of the keys is treated as in another replay of the same reads."""
        mixed: dict[str, Any] = {}
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            mixed[field.name] = None if mine is None or theirs is None else mine + share * (theirs - mine)
        return ReplayResult(**mixed)


class ComparisonRow(NamedTuple):
    """One policy on one trace.

    Args:
        trace: The trace's name.
        ttl_s: The ttl of all values, in seconds.
        policy: The policy's name.
        extra_compute: The compute budget beyond the baseline, such as 0.25; None for a policy without a setting.
        result: Its result.
    """

    trace: str
    ttl_s: float
    policy: str
    extra_compute: float | None
    result: ReplayResult

    def as_json(self) -> dict[str, Any]:
        """Return the row as `warmer simulate --json` prints it; ratios have six decimals."""
        result = self.result
        ratios = {
            "miss_ratio": result.miss_ratio,
            "baseline_miss_ratio": result.baseline_miss_ratio,
            "compulsory_ratio": result.compulsory_ratio,
            "compute_ratio": result.compute_ratio,
            "compute_s_ratio": result.compute_s_ratio,
            "removed": result.removed,
            "wasted_ratio": result.wasted_ratio,
        }
        return {
            "trace": self.trace,
            "ttl_s": self.ttl_s,
            "policy": self.policy,
            "extra_compute": self.extra_compute,
            **{name: None if ratio is None else round(ratio, 6) for name, ratio in ratios.items()},
            "reads": round(result.reads),
            "peak_concurrency": round(result.peak_concurrency),
        }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
