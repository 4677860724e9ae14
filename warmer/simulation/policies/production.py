"""Replay of warmer's own policy, through the functions that production runs."""

from heapq import heappop, heappush

from warmer.policy.history import EPOCH_S, History
from warmer.policy.model import Model
from warmer.policy.review import Reviewer
from warmer.policy.season import Season
from warmer.policy.spending import Spent
from warmer.policy.threshold import Threshold
from warmer.simulation.result import ReplayResult
from warmer.simulation.tally import UNKNOWN_COST_S, Concurrency
from warmer.simulation.trace.trace import Trace

REPORTS_PER_TTL = 64
"""How often per ttl spending is reported to the threshold; at most once a second."""

_MONDAY_S = 1_704_067_200.0


def replay_production(trace: Trace, ttl_s: float, threshold: Threshold, warmup: float = 0.2) -> ReplayResult:
    """Replay a trace as production runs it: each target is reviewed when its freshness ends.

    Args:
        trace: The recorded reads; times before 2020 count from a Monday, 0:00 UTC.
        ttl_s: The ttl of values, in seconds.
        threshold: Holds the budget; a new one, which learns during the replay, as the model does.
        warmup: The part of the time span that does not count, from 0 to below 1.

    Example:
        >>> from warmer.policy.budget import ExtraCompute
        >>> trace = Trace("one key", [7.0 * row for row in range(2000)], [0] * 2000, [1] * 2000)
        >>> result = replay_production(trace, ttl_s=10.0, threshold=Threshold(ExtraCompute(0.5)))
        >>> result.baseline_misses, result.compute_ratio > 1.0, result.removed > 0.0
        (800, True, True)
    """
    replay = _Replay(trace, ttl_s, threshold, warmup)
    shift_s = replay.shift_s
    costs_s = trace.costs_s or [UNKNOWN_COST_S] * len(trace.keys)
    for at_s, key, reads, cost_s in zip(trace.times_s, trace.keys, trace.reads, costs_s, strict=True):
        replay.read(at_s + shift_s, key, reads, cost_s)
    return replay.finish()


class _Replay:
    """The state of one replay; its times are shifted to after the epoch of histories."""

    def __init__(self, trace: Trace, ttl_s: float, threshold: Threshold, warmup: float) -> None:
        self.shift_s = _MONDAY_S if trace.start_s < EPOCH_S else 0.0
        self._ttl_s = ttl_s
        self._threshold = threshold
        self._reviewer = Reviewer(Model(), Season())
        self._has_costs = trace.costs_s is not None
        self._from_s = trace.counted_from_s(warmup) + self.shift_s
        self._end_s = trace.end_s + self.shift_s
        self._histories: list[History | None] = [None] * trace.key_count
        self._costs_s = [UNKNOWN_COST_S] * trace.key_count
        self._review_at_s = [0.0] * trace.key_count
        self._is_warm = bytearray(trace.key_count)
        self._due: list[tuple[float, int]] = []
        self._report_every_s = max(1.0, ttl_s / REPORTS_PER_TTL)
        self._report_at_s = 0.0
        self._concurrency = Concurrency()
        self._reads = self._misses = self._refreshes = self._baseline_misses = 0
        self._miss_s = self._refresh_s = self._baseline_s = 0.0
        self._reported = Spent()
        self._compulsory = self._wasted = 0
        self._warmed_up: Spent | None = None

    def read(self, at_s: float, key: int, reads: int, cost_s: float) -> None:
        """Run the reviews that are due before these reads, and then the reads."""
        due = self._due
        while due and due[0][0] <= at_s:
            self._review(*heappop(due))
        if at_s >= self._report_at_s:
            self._report(at_s)
        history = self._histories[key]
        if history is None:
            history = self._histories[key] = History()
            self._compulsory += at_s >= self._from_s
        self._costs_s[key] = cost_s
        self._reads += reads
        if at_s >= history.fresh_until_s:
            self._miss(at_s, key, history, cost_s)
        if history.read(at_s, reads, self._ttl_s):
            self._baseline_misses += 1
            self._baseline_s += cost_s

    def finish(self) -> ReplayResult:
        """Run the reviews that are due before the end of the trace, and return the counts."""
        due = self._due
        while due and due[0][0] <= self._end_s:
            self._review(*heappop(due))
        for key, history in enumerate(self._histories):
            if history is not None:
                self._judge(key, history)
        before = self._warmed_up or Spent()
        counted = Spent(*(one - other for one, other in zip(self._spent(), before, strict=True)))
        return ReplayResult(
            reads=counted.reads,
            misses=counted.misses,
            compulsory=self._compulsory,
            refreshes=counted.refreshes,
            wasted=self._wasted,
            compute_s=counted.miss_s + counted.refresh_s if self._has_costs else None,
            baseline_misses=counted.baseline_misses,
            baseline_compute_s=counted.baseline_s if self._has_costs else None,
            peak_concurrency=self._concurrency.peak,
        )

    def _review(self, at_s: float, key: int) -> None:
        history = self._histories[key]
        if history is None or self._review_at_s[key] != at_s:
            return
        if at_s >= self._report_at_s:
            self._report(at_s)
        ttl_s = self._ttl_s
        refresh, next_review_s, _ = self._reviewer.review(history, at_s, ttl_s, self._threshold)
        if refresh:
            cost_s = self._costs_s[key]
            self._judge(key, history)
            self._publish(at_s, key, history, cost_s)
            self._is_warm[key] = True
            self._refreshes += 1
            self._refresh_s += cost_s
        elif next_review_s is not None:
            self._review_at_s[key] = next_review_s
            heappush(self._due, (next_review_s, key))

    def _miss(self, at_s: float, key: int, history: History, cost_s: float) -> None:
        self._judge(key, history)
        self._publish(at_s, key, history, cost_s)
        self._is_warm[key] = False
        self._misses += 1
        self._miss_s += cost_s

    def _publish(self, at_s: float, key: int, history: History, cost_s: float) -> None:
        fresh_until_s = at_s + self._ttl_s
        history.published(fresh_until_s, cost_s)
        self._review_at_s[key] = fresh_until_s
        heappush(self._due, (fresh_until_s, key))
        if at_s >= self._from_s:
            self._concurrency.add(at_s, cost_s)

    def _judge(self, key: int, history: History) -> None:
        """Count a refresh as wasted if its value was never read."""
        if self._is_warm[key] and not history.value_reads and history.fresh_until_s - self._ttl_s >= self._from_s:
            self._wasted += 1

    def _report(self, at_s: float) -> None:
        spent = self._spent()
        if self._warmed_up is None and at_s >= self._from_s:
            self._warmed_up = spent
        since = Spent(*(one - other for one, other in zip(spent, self._reported, strict=True)))
        self._reviewer.season.observe(at_s, since.reads)
        self._threshold.observe(at_s, since)
        self._reported = spent
        self._report_at_s = at_s + self._report_every_s
        if at_s < self._from_s:
            self._report_at_s = min(self._report_at_s, self._from_s)

    def _spent(self) -> Spent:
        return Spent(
            self._reads,
            self._misses,
            self._miss_s,
            self._refreshes,
            self._refresh_s,
            self._baseline_misses,
            self._baseline_s,
        )
