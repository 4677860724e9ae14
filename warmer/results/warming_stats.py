"""Statistics of the fleet: its state, its costs and its benefit. Durations end in ``_ms``, sums of them in ``_s``."""

from datetime import datetime

from warmer.results.dict_like import DictLike


class MissesByCause(DictLike):
    """Why reads missed; each miss has one cause, and those who wait for one computation have all missed.

    Args:
        first: Nothing had been cached before.
        lapsed: The value had expired, and a refresh was not worth its cost.
        late: The value had expired, and its refresh, or the decision on it, did not come in time.
        lost: The value should have been there: it was invalidated or evicted.
        failing: Workers have failed to compute it.
        off: Warming was switched off for it.
        taskless: The key belongs to no task, or to one that is not enabled.
    """

    first: int
    lapsed: int
    late: int
    lost: int
    failing: int
    off: int
    taskless: int


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
        extra_compute: What would be computed beyond a plain cache, as a part of what that would compute.
        miss_ratio: The part of reads that would begin a computation their user waits for.
        refresh_s_per_minute: Compute seconds of refreshes in a minute.
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
        target: What it was set to.
        actual: What is spent or reached, in the same unit, over about a day; None before the first decision.
        threshold: The chance of a read within the next ttl from which on a target is refreshed now, from 0.0 to 1.0.
        is_cut_off: Whether refreshing has stopped for a while, as far more was spent than the budget allows.
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
    """What warming spends, and what that buys: of a task, or of the whole fleet.

    Args:
        efficiency_score: 100 * useful / judged, from 0.0 to 100.0; 0.0 while nothing was judged. A refresh is useful
            if a user read its value after the moment the previous one would have expired, else wasted.
        judged: Refreshes judged so far.
        useful: Those among them that were useful.
        saved_user_s: What users would have waited for without the useful refreshes: one computation for each.
        spent_compute_s: What computations by warming took, failed ones too.
        wasted_compute_s: What those of wasted refreshes took.
        late: Refreshes that were to be done while the previous value was fresh, and were not done when it expired.
        stale_hits: Hits that got a stale value, while it was renewed or because it could not be.
        misses_by_cause: Why reads missed.
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
    """How warming does, over the whole fleet; what it spends and buys is in the fields of `Ledger`.

    Durations are of computations that ended in a published value; percentiles are over the latest 1,000 of them.

    Args:
        total_warmings: Values that warming has published.
        failed: Computations that failed.
        avg_duration_ms: Mean duration; 0.0 before the first.
        fastest_ms: Shortest duration.
        slowest_ms: Longest duration.
        p50_ms: Median of the latest.
        p95_ms: What 95 of 100 of the latest stayed under.
        p99_ms: What 99 of 100 of the latest stayed under.
        hit_ratio: Reads that were hits, from 0.0 to 1.0; 0.0 before the first read.
        unjudged: Refreshes that are never judged: too many others waited for a read (`WARMER_HISTORY_CAPACITY`).
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
    """One task, as the statistics show it; what warming spends on it, and buys, is in the fields of `Ledger`.

    Args:
        task_id: Its id.
        name: What people call it.
        enabled: Whether it is warmed at all.
        priority: Higher first.
        is_critical: Whether it is kept warm whatever its reads.
        run_count: Values that warming has published for it.
        fail_count: Computations that failed.
        avg_duration_ms: Mean duration; 0.0 before the first.
        last_run: When it was last computed by warming.
        next_run: When it is due next; None if it is left to lapse.
        last_error: What its last computation failed with; None if it succeeded.
        hits: Reads that found it.
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
    """What workers compute no more, because it killed the processes that computed it; readers still compute it.

    Args:
        name: A target's ref, or a task's id for all its targets.
        since: Since when.
        deaths: How many processes died with it.
        error: How the last one ended.
    """

    name: str
    since: datetime
    deaths: int
    error: str


class LimitUse(DictLike):
    """How much of a declared limit is used at this moment.

    Args:
        name: Its name, as tasks give it with `limit`.
        concurrency: Computations at once; None without such a limit.
        in_use: Computations that workers run under it; a batch is one.
        readers: Computations that readers run under it; they never wait for it, and workers hold back for them.
        rate_per_s: Computations begun per second, on average; None without such a limit.
        may_begin: How many the rate lets begin now; below 0 while readers have begun more than it allows; None without
            a rate.
    """

    name: str
    concurrency: int | None
    in_use: int
    readers: int
    rate_per_s: float | None
    may_begin: float | None


class WarmingStats(DictLike):
    """The state of the whole fleet.

    Args:
        tasks: Registered tasks.
        critical_keys: Enabled critical tasks.
        running: Whether warming is on and a scheduler is alive.
        users_preloaded: Calls of `warm_user_data_optimized` that asked for anything.
        performance: How warming does.
        task_details: Each task, highest priority first.
        workers: Workers alive.
        scheduler_alive: Whether a scheduler is alive.
        backlog: Targets that wait for a worker.
        incidents: What went wrong so far, by kind: `read_errors` (reads that Redis did not answer), `dropped_reads`
            (not counted, too many keys), `unrecorded_misses` (computed, but not recorded, too many), `lapsed_claims`
            (their workers died or stalled), `lost_leases` (values not written: invalidated meanwhile, or computed by
            another), `crashes` (computations that killed the process of their own in which they ran).
        quarantined: What workers compute no more, the latest first; `release_quarantined` lets it go.
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
