"""Ledger of warming: what it costs and what it saves, from the counters in Redis."""

import statistics
from collections.abc import Mapping, Sequence

from warmer.results import BaselineComparison, BudgetState, Ledger, MissesByCause, WarmingPerformance
from warmer.stats.budgets import budget_states
from warmer.store import Store


def performance(store: Store) -> WarmingPerformance:
    """Return the performance of the whole fleet.

    Raises:
        redis.RedisError: Redis did not answer.
    """
    return performance_of(store.stats.totals(), store.stats.recent_durations_ms(), budget_states(store))


def performance_of(
    totals: Mapping[str, float], recent_ms: list[float], budgets: Sequence[BudgetState] = ()
) -> WarmingPerformance:
    """Return the performance that these counters describe.

    Args:
        totals: The fleet's counters by name.
        recent_ms: The latest durations of warming.
        budgets: The state of each budget, the fleet's first.

    Example:
        >>> performance_of({"useful": 3, "wasted": 1}, []).efficiency_score
        75.0
    """
    warmings = int(totals.get("warmings", 0))
    hits = totals.get("hits", 0.0)
    p50_ms, p95_ms, p99_ms = percentiles(recent_ms)
    return WarmingPerformance(
        **dict(ledger_of(totals).items()),
        total_warmings=warmings,
        failed=int(totals.get("failed", 0)),
        avg_duration_ms=totals.get("total_ms", 0.0) / warmings if warmings else 0.0,
        fastest_ms=totals.get("fastest_ms", 0.0),
        slowest_ms=totals.get("slowest_ms", 0.0),
        p50_ms=p50_ms,
        p95_ms=p95_ms,
        p99_ms=p99_ms,
        hit_ratio=_part(hits, hits + totals.get("misses", 0.0)),
        unjudged=int(totals.get("unjudged", 0)),
        budgets=list(budgets),
        what_if=budgets[0].what_if if budgets else [],
    )


def ledger_of(counters: Mapping[str, float]) -> Ledger:
    """Return what warming spends and buys.

    Args:
        counters: Of a task, or of the whole fleet, by name.

    Example:
        >>> ledger = ledger_of({"warm_ms": 900.0, "useful": 2, "saved_ms": 600.0, "wasted": 1, "wasted_ms": 300.0})
        >>> ledger.spent_compute_s, ledger.saved_user_s, ledger.wasted_compute_s
        (0.9, 0.6, 0.3)
    """
    useful = int(counters.get("useful", 0))
    judged = useful + int(counters.get("wasted", 0))
    return Ledger(
        efficiency_score=100.0 * _part(useful, judged),
        judged=judged,
        useful=useful,
        saved_user_s=_seconds(counters, "saved_ms"),
        spent_compute_s=_seconds(counters, "warm_ms"),
        wasted_compute_s=_seconds(counters, "wasted_ms"),
        late=int(counters.get("late", 0)),
        stale_hits=int(counters.get("stale_hits", 0)),
        misses_by_cause=MissesByCause(
            **{cause: int(counters.get(f"misses_{cause}", 0)) for cause in MissesByCause.model_fields}
        ),
        baseline=comparison_of(counters),
    )


def comparison_of(counters: Mapping[str, float]) -> BaselineComparison:
    """Return the comparison with a plain ttl cache; keys without a task do not count.

    Args:
        counters: Of a task, or of the whole fleet, by name.

    Example:
        >>> found = comparison_of({"hits": 98, "misses": 2, "awaited": 2, "miss_ms": 200.0, "warm_ms": 1050.0,
        ...     "baseline_misses": 10, "baseline_ms": 1000.0})
        >>> found.extra_compute, found.misses_removed
        (0.25, 0.8)
    """
    return BaselineComparison.of(
        reads=counters.get("hits", 0) + counters.get("misses", 0) - counters.get("untracked_reads", 0),
        misses=counters.get("awaited", 0),
        compute_ms=counters.get("miss_ms", 0.0) + counters.get("warm_ms", 0.0) - counters.get("untracked_ms", 0.0),
        baseline_misses=counters.get("baseline_misses", 0),
        baseline_ms=counters.get("baseline_ms", 0.0),
    )


def percentiles(values: list[float]) -> tuple[float, float, float]:
    """Return the 50th, 95th and 99th percentile; zeros when there are no values.

    Example:
        >>> percentiles([7.0])
        (7.0, 7.0, 7.0)
    """
    if len(values) < 2:
        only = values[0] if values else 0.0
        return only, only, only
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[94], cuts[98]


def _seconds(counters: Mapping[str, float], name: str) -> float:
    return counters.get(name, 0.0) / 1000


def _part(amount: float, whole: float) -> float:
    return amount / whole if whole else 0.0
