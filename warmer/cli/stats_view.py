"""Terminal view of the statistics: the state of the fleet, what warming costs and what it saves."""

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from warmer.results import (
    BaselineComparison,
    BudgetState,
    BudgetWhatIf,
    LimitUse,
    MissesByCause,
    QuarantinedTarget,
    WarmingPerformance,
    WarmingStats,
)

SHOWN_EXTRA_COMPUTE = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Points of the what-if curve to show."""

CAUSES = {
    "first": "first reads",
    "not_worth_it": "not worth a refresh",
    "late": "refreshed too late",
    "evicted": "invalidated or evicted",
    "failing": "failing",
    "disabled": "warming off",
    "untracked": "without a task",
}


def tables_of(stats: WarmingStats) -> Iterator[RenderableType]:
    """Yield the tables from top to bottom."""
    yield _summary(stats)
    yield _task_table(stats)
    if stats.performance.baseline.baseline_misses:
        yield _ledger_table(stats)
    if len(stats.performance.budgets) > 1:
        yield _budget_table(stats.performance.budgets)
    if stats.performance.what_if:
        yield _what_if_table(stats.performance.what_if)
    if stats.limits:
        yield _limit_table(stats.limits)


def problems_of(stats: WarmingStats) -> Iterator[str]:
    """Yield a line with markup for each task whose last computation failed, and for each target in quarantine."""
    for task in stats.task_details:
        if task.last_error is not None:
            yield f"{escape(task.task_id)}: the last computation failed: {escape(task.last_error)}"
    for target in stats.quarantined:
        yield _in_quarantine(target)


def what_if_at(extra_compute: float, curve: list[BudgetWhatIf]) -> BudgetWhatIf | None:
    """Return the last point of the curve within this extra compute; None if every point needs more.

    Args:
        extra_compute: As a part of the baseline's compute.
        curve: Ordered by extra compute.

    Example:
        >>> curve = [BudgetWhatIf(threshold=0.7, extra_compute=0.1, miss_ratio=0.04, refresh_s_per_minute=2.0),
        ...     BudgetWhatIf(threshold=0.4, extra_compute=0.3, miss_ratio=0.02, refresh_s_per_minute=5.0)]
        >>> what_if_at(0.25, curve).miss_ratio
        0.04
    """
    return next((point for point in reversed(curve) if point.extra_compute <= extra_compute), None)


def _summary(stats: WarmingStats) -> Table:
    performance = stats.performance
    table = Table.grid(padding=(0, 2))
    table.add_row("warming", "[green]running" if stats.running else "[red]not running")
    table.add_row("scheduler", "alive" if stats.scheduler_alive else "[red]none")
    table.add_row("workers", str(stats.workers) if stats.workers else "[red]none")
    table.add_row("backlog", str(stats.backlog))
    stale = f", {performance.stale_hits} of the hits stale" if performance.stale_hits else ""
    table.add_row("hit ratio", f"{100 * performance.hit_ratio:.1f} %{stale}")
    causes = _causes(performance.misses_by_cause)
    if causes:
        table.add_row("misses", causes)
    table.add_row("efficiency", _efficiency(performance))
    table.add_row(
        "computations",
        f"{performance.total_warmings}, {performance.failed} failed, p50 {performance.p50_ms:.1f} ms, "
        f"p99 {performance.p99_ms:.1f} ms",
    )
    table.add_row(
        "spent",
        f"{_seconds(performance.spent_compute_s)} by warming, {_seconds(performance.wasted_compute_s)} "
        f"of it wasted; users saved {_seconds(performance.saved_user_s)} of waiting",
    )
    if performance.baseline.baseline_misses:
        table.add_row("baseline", _compared(performance.baseline))
    for state in performance.budgets[:1]:
        table.add_row("budget", _budget_line(state))
    return table


def _causes(misses: MissesByCause) -> str:
    return ", ".join(f"{count} {CAUSES[cause]}" for cause, count in misses.items() if count)


def _efficiency(performance: WarmingPerformance) -> str:
    late = f", {performance.late} were too late" if performance.late else ""
    if not performance.judged:
        return f"no refresh judged yet{late}"
    return f"{performance.efficiency_score:.1f} % of {performance.judged} refreshes were used{late}"


def _compared(found: BaselineComparison) -> str:
    return (
        f"a plain ttl cache would have had {found.baseline_misses} misses instead of {found.misses}, and computed for "
        f"{_seconds(found.baseline_compute_s)} instead of {_seconds(found.compute_s)}: "
        f"{_signed(found.extra_compute)} compute for {_signed(-found.misses_removed)} misses"
    )


def _budget_line(state: BudgetState) -> str:
    actual = "no decision yet" if state.actual is None else f"actual {_amount(state.budget, state.actual)}"
    cutoff = "; [red]refreshes have stopped: far more was spent[/]" if state.is_cut_off else ""
    return (
        f"{state.budget} {_amount(state.budget, state.target)}, {actual}; a value is refreshed if the chance of a read "
        f"is {100 * state.threshold:.0f} % or more{cutoff}"
    )


def _task_table(stats: WarmingStats) -> Table:
    table = _table("task", "priority", "runs", "failed", "avg ms", "hits", "misses", "next run")
    table.caption = "* critical: kept warm with or without reads"
    for task in stats.task_details:
        table.add_row(
            f"{task.task_id}{' *' if task.is_critical else ''}{'' if task.enabled else ' (disabled)'}",
            str(task.priority),
            str(task.run_count),
            str(task.fail_count),
            f"{task.avg_duration_ms:.1f}",
            str(task.hits),
            str(task.misses),
            _until(task.next_run),
        )
    return table


def _ledger_table(stats: WarmingStats) -> Table:
    table = _table("task", "spent", "wasted", "saved", "used", "late", "extra compute", "misses")
    table.caption = "compared with a plain ttl cache on the same reads; saved: waiting that users were spared"
    for task in stats.task_details:
        table.add_row(
            task.task_id,
            _seconds(task.spent_compute_s),
            _seconds(task.wasted_compute_s),
            _seconds(task.saved_user_s),
            f"{task.efficiency_score:.0f} %" if task.judged else "",
            str(task.late),
            _signed(task.baseline.extra_compute) if task.baseline.baseline_compute_s else "",
            _signed(-task.baseline.misses_removed) if task.baseline.baseline_misses else "",
        )
    return table


def _budget_table(states: list[BudgetState]) -> Table:
    table = _table("budget of", "budget", "target", "actual", "threshold")
    for state in states:
        table.add_row(
            state.task_id or "fleet",
            state.budget,
            _amount(state.budget, state.target),
            "" if state.actual is None else _amount(state.budget, state.actual),
            "[red]stopped" if state.is_cut_off else f"{100 * state.threshold:.0f} %",
        )
    return table


def _what_if_table(curve: list[BudgetWhatIf]) -> Table:
    table = _table("extra compute", "users wait for", "refreshes take")
    for extra_compute in SHOWN_EXTRA_COMPUTE:
        point = what_if_at(extra_compute, curve)
        if point is not None:
            table.add_row(
                _signed(extra_compute),
                f"{100 * point.miss_ratio:.2f} % of reads",
                f"{_seconds(point.refresh_s_per_minute)} a minute",
            )
    return table


def _limit_table(limits: list[LimitUse]) -> Table:
    table = _table("limit", "in use", "by readers", "rate/s", "available now")
    for limit in limits:
        table.add_row(
            limit.name,
            str(limit.in_use) if limit.concurrency is None else f"{limit.in_use} / {limit.concurrency}",
            str(limit.readers),
            "" if limit.rate_per_s is None else f"{limit.rate_per_s:g}",
            "" if limit.may_begin is None else f"{limit.may_begin:.1f}",
        )
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _in_quarantine(target: QuarantinedTarget) -> str:
    return (
        f"{escape(target.name)} has been in quarantine since {target.since:%Y-%m-%d %H:%M:%S} UTC: it killed "
        f"{target.deaths} processes, the last one with {escape(target.error)}; workers compute it again after a "
        f"changed definition, or after: warmer release {escape(shlex.quote(target.name))}"
    )


def _amount(budget: str, value: float) -> str:
    if budget == "extra_compute":
        return _signed(value)
    return f"{100 * value:.2f} %" if budget == "target_hit_ratio" else f"{value:.1f} s a minute"


def _signed(part: float) -> str:
    return f"{100 * part:+.1f} %"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 600 else f"{seconds / 3600:,.1f} h"


def _until(moment: datetime | None) -> str:
    if moment is None:
        return "when read"
    seconds = (moment - datetime.now(UTC)).total_seconds()
    return f"in {seconds:.0f} s" if seconds > 0 else "now"
