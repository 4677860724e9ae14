"""Statistics of the fleet: its state, its costs and its benefit. Durations end in ``_ms``, sums of them in ``_s``."""

from datetime import datetime

from warmer.results.dict_like import DictLike


class MissesByCause(DictLike):
    """Misses by cause; each miss has one. Readers that wait for one computation have all missed.

    Args:
        first: Nothing had been cached before.
        not_worth_it: The value had expired, and a refresh was not worth its cost.
        late: The value had expired, and its refresh, or the decision on it, was too late.
        evicted: The value was invalidated or evicted.
        failing: Workers have failed to compute it.
        disabled: Warming was switched off.
        untracked: The key belongs to no task, or to a disabled one.
    """

    first: int
    not_worth_it: int
    late: int
    evicted: int
    failing: int
    disabled: int
    untracked: int


class BaselineComparison(DictLike):
    """Comparison with the baseline, a plain ttl cache that computes at each miss and never before, on the same reads.

    The baseline is simulated for each target as its reads come in. Keys without a task do not count.

    Args:
        reads: Reads by users.
        misses: Computations that users waited for; readers who waited for the same one count once.
        compute_s: Seconds of all computations, by readers and by warming.
        baseline_misses: Misses of the baseline.
        baseline_compute_s: Seconds of its computations.
        extra_compute: Compute beyond the baseline's, as a part of it; 0.0 while that is nothing.
        misses_removed: The part of the baseline's misses that did not happen, at most 1.0; below 0.0 if there were
            more. First reads are misses for both, unless a value was warmed before.
    """

    reads: int
    misses: int
    compute_s: float
    baseline_misses: int
    baseline_compute_s: float
    extra_compute: float
    misses_removed: float

    @classmethod
    def of(
        cls, reads: float, misses: float, compute_ms: float, baseline_misses: float, baseline_ms: float
    ) -> "BaselineComparison":
        """Return the comparison of these counts, and of compute times in milliseconds.

        Example:
            >>> BaselineComparison.of(100, 2, compute_ms=1250.0, baseline_misses=10, baseline_ms=1000.0).misses_removed
            0.8
        """
        return cls(
            reads=int(reads),
            misses=int(misses),
            compute_s=compute_ms / 1000,
            baseline_misses=int(baseline_misses),
            baseline_compute_s=baseline_ms / 1000,
            extra_compute=(compute_ms - baseline_ms) / baseline_ms if baseline_ms else 0.0,
            misses_removed=(baseline_misses - misses) / baseline_misses if baseline_misses else 0.0,
        )


class BudgetWhatIf(DictLike):
    """Effect of another threshold: one point of the curve of misses against extra compute, from the last hours.

    Args:
        threshold: The chance of a read within the next ttl from which on a target is refreshed, from 0.0 to 1.0.
        extra_compute: Compute beyond the baseline's, as a part of it.
        miss_ratio: The part of reads that would start a computation which a user waits for.
        refresh_s_per_minute: Compute seconds of refreshes per minute.
    """

    threshold: float
    extra_compute: float
    miss_ratio: float
    refresh_s_per_minute: float


class BudgetState(DictLike):
    """State of one budget: the fleet's, or that of a task with its own. Tasks that are always kept warm do not count.

    Args:
        task_id: The task; None for the fleet.
        budget: "extra_compute", "target_hit_ratio" or "budget_s_per_minute".
        target: The configured value.
        actual: The measured value, in the same unit, over about a day; None before the first decision.
        threshold: The chance of a read within the next ttl from which on a target is refreshed now, from 0.0 to 1.0.
        is_cut_off: Whether refreshing has stopped for a while, because far more than the budget was spent.
        baseline: The comparison with a plain ttl cache, since the beginning.
        what_if: The effect of other thresholds, from the least extra compute to the most.
    """

    task_id: str | None
    budget: str
    target: float
    actual: float | None
    threshold: float
    is_cut_off: bool
    baseline: BaselineComparison
    what_if: list[BudgetWhatIf]


class Ledger(DictLike):
    """Costs and benefit of warming: of a task, or of the whole fleet.

    Args:
        efficiency_score: 100 * useful / judged, from 0.0 to 100.0; 0.0 while nothing was judged. A refresh is useful
            if a user read its value after the moment the previous one would have expired, else wasted.
        judged: Refreshes judged so far.
        useful: Useful refreshes among them.
        saved_user_s: Seconds that users did not wait because of useful refreshes: one computation for each.
        spent_compute_s: Seconds of computations by warming, failed ones included.
        wasted_compute_s: Seconds of computations by wasted refreshes.
        late: Refreshes that were due before the previous value expired, and were not done by then.
        stale_hits: Hits that got a stale value, while it was refreshed or because its refresh failed.
        misses_by_cause: Misses by cause.
        baseline: The comparison with a plain ttl cache.
    """

    efficiency_score: float
    judged: int
    useful: int
    saved_user_s: float
    spent_compute_s: float
    wasted_compute_s: float
    late: int
    stale_hits: int
    misses_by_cause: MissesByCause
    baseline: BaselineComparison


class WarmingPerformance(Ledger):
    """Performance of warming over the whole fleet, with the costs and benefit of `Ledger`.

    Durations are of computations whose value was published; percentiles are over the latest 1,000.

    Args:
        total_warmings: Values that warming has published.
        failed: Computations that failed.
        avg_duration_ms: Mean duration; 0.0 before the first.
        fastest_ms: Shortest duration.
        slowest_ms: Longest duration.
        p50_ms: Median of the latest.
        p95_ms: 95th percentile of the latest.
        p99_ms: 99th percentile of the latest.
        hit_ratio: Reads that were hits, from 0.0 to 1.0; 0.0 before the first read.
        unjudged: Refreshes that will not be judged, because too many wait for a read (`WARMER_HISTORY_CAPACITY`).
        budgets: The state of each budget: the fleet's first, then those of tasks with their own.
        what_if: The effect of other thresholds on the fleet's budget, from the least extra compute to the most.
    """

    total_warmings: int
    failed: int
    avg_duration_ms: float
    fastest_ms: float
    slowest_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    hit_ratio: float
    unjudged: int
    budgets: list[BudgetState]
    what_if: list[BudgetWhatIf]


class TaskDetail(Ledger):
    """Statistics of one task, with the costs and benefit of `Ledger`.

    Args:
        task_id: Its id.
        name: Its name for people.
        enabled: Whether it is warmed at all.
        priority: Higher first.
        is_critical: Whether it is kept warm whatever its reads.
        run_count: Values that warming has published for it.
        fail_count: Computations that failed.
        avg_duration_ms: Mean duration; 0.0 before the first.
        last_run: The time of its latest computation by warming.
        next_run: The time at which it is due next; None if it will not be refreshed.
        last_error: The error of its latest computation; None if that succeeded.
        hits: Reads that found a value.
        misses: Reads that did not.
    """

    task_id: str
    name: str
    enabled: bool
    priority: int
    is_critical: bool
    run_count: int
    fail_count: int
    avg_duration_ms: float
    last_run: datetime | None
    next_run: datetime | None
    last_error: str | None
    hits: int
    misses: int


class QuarantinedTarget(DictLike):
    """A target or task in quarantine: workers do not compute it, because it killed their processes. Readers still do.

    Args:
        name: A target's ref, or a task's id for all its targets.
        since: The start of the quarantine.
        deaths: Processes that died while they computed it.
        error: How the latest of them ended.
    """

    name: str
    since: datetime
    deaths: int
    error: str


class LimitUse(DictLike):
    """Usage of a declared limit at this moment.

    Args:
        name: Its name, as tasks give it with `limit`.
        concurrency: Computations at once; None without such a limit.
        in_use: Computations that workers run under it; a batch is one.
        readers: Computations that readers run under it; they never wait for it, but workers start fewer.
        rate_per_s: Computations begun per second, on average; None without such a limit.
        may_begin: Computations that the rate allows to begin now; below 0 after readers have begun more than it allows;
            None without a rate.
    """

    name: str
    concurrency: int | None
    in_use: int
    readers: int
    rate_per_s: float | None
    may_begin: float | None


class WarmingStats(DictLike):
    """State of the whole fleet.

    Args:
        tasks: Registered tasks.
        critical_keys: Enabled critical tasks.
        running: Whether warming is on and a scheduler is alive.
        users_preloaded: Calls of `warm_user_data_optimized` that requested at least one target.
        performance: The performance of warming.
        task_details: Each task, highest priority first.
        workers: Workers alive.
        scheduler_alive: Whether a scheduler is alive.
        backlog: Targets that wait for a worker.
        incidents: Counts of incidents by kind: `read_errors` (reads that Redis did not answer), `dropped_reads`
            (not counted, because of too many keys), `unrecorded_misses` (computed, but too many to record),
            `lapsed_claims` (their workers died or stalled), `lost_leases` (values not written, because they were
            invalidated or computed by another meanwhile), `crashes` (computations that killed their isolated process).
        quarantined: Targets and tasks in quarantine, the latest first; `release_quarantined` releases them.
        limits: Each declared limit, by name.
    """

    tasks: int
    critical_keys: int
    running: bool
    users_preloaded: int
    performance: WarmingPerformance
    task_details: list[TaskDetail]
    workers: int
    scheduler_alive: bool
    backlog: int
    incidents: dict[str, int]
    quarantined: list[QuarantinedTarget]
    limits: list[LimitUse]
