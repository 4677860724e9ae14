"""The tables of `warmer stats`."""

import json
from io import StringIO
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from rich.console import Console

from tests.support.command import COMMAND
from warmer.cli import status
from warmer.cli.stats_view import problems_of, tables_of, what_if_at
from warmer.policy.budget import Budget, ComputeBudget, ExtraCompute, TargetHitRatio
from warmer.policy.spending import Spent
from warmer.policy.threshold import Threshold
from warmer.results import BudgetState, BudgetWhatIf, TaskDetail, WarmingPerformance, WarmingStats
from warmer.stats.budgets import budget_state
from warmer.stats.ledger import ledger_of, performance_of

COUNTERS = {
    "hits": 95.0, "misses": 5.0, "awaited": 4.0, "misses_first": 2.0, "misses_late": 3.0, "late": 3.0, "useful": 3.0,
    "wasted": 1.0, "warm_ms": 2000.0, "wasted_ms": 500.0, "saved_ms": 1500.0, "miss_ms": 3000.0, "baseline_misses": 8.0,
    "baseline_ms": 4000.0,
}  # fmt: skip


def decided(budget: Budget, chance: float = 0.5) -> BudgetState:
    """A budget under which something was decided and spent."""
    threshold = Threshold(budget)
    threshold.observe(1000.0, Spent())
    threshold.record(0.0, chance, 1.0, 0.5, True)
    threshold.observe(
        1060.0, Spent(reads=100, misses=4, miss_s=3.0, refreshes=4, refresh_s=2.0, baseline_misses=8, baseline_s=4)
    )
    return budget_state("", threshold, {})


def stats_of(performance: WarmingPerformance) -> WarmingStats:
    task = TaskDetail(
        **dict(ledger_of(COUNTERS).items()), task_id="catalog", name="Catalog", enabled=True, priority=1,
        is_critical=False, run_count=4, fail_count=0, avg_duration_ms=500.0, last_run=None, next_run=None,
        last_error="[db] is away", hits=95, misses=5,
    )  # fmt: skip
    return WarmingStats(
        tasks=1, critical_keys=0, running=True, users_preloaded=0, performance=performance, task_details=[task],
        workers=1, scheduler_alive=True, backlog=0, incidents={}, quarantined=[], limits=[],
    )  # fmt: skip


def drawn(stats: WarmingStats) -> str:
    console = Console(file=StringIO(), width=200)
    for part in tables_of(stats):
        console.print(part)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_what_was_spent_and_what_it_bought_is_said():
    text = drawn(stats_of(performance_of(COUNTERS, [], [decided(ExtraCompute(0.25))])))
    assert "75.0 % of 4 refreshes were used, 3 were too late" in text
    assert "2.0 s by warming, 0.5 s of it wasted; users saved 1.5 s of waiting" in text
    assert "would have had 8 misses instead of 4" in text
    assert "+25.0 % compute for -50.0 % misses" in text
    assert "2 first reads, 3 refreshed too late" in text
    assert "extra_compute +25.0 %, actual +25.0 %" in text


def test_the_what_if_table_has_a_line_for_what_can_be_had():
    curve = [
        BudgetWhatIf(threshold=0.7, extra_compute=0.2, miss_ratio=0.03, refresh_s_per_minute=2.0),
        BudgetWhatIf(threshold=0.1, extra_compute=0.9, miss_ratio=0.01, refresh_s_per_minute=9.0),
    ]
    state = BudgetState(**{**dict(decided(ExtraCompute(0.25)).items()), "what_if": curve})
    rows = [row.split() for row in drawn(stats_of(performance_of(COUNTERS, [], [state]))).splitlines()]
    assert ["+25.0", "%", "3.00", "%", "of", "reads", "2.0", "s", "a", "minute"] in rows
    assert ["+100.0", "%", "1.00", "%", "of", "reads", "9.0", "s", "a", "minute"] in rows
    assert not any(row[:2] == ["+10.0", "%"] for row in rows), "no threshold takes as little"
    assert what_if_at(0.1, curve) is None


def test_a_fleet_in_which_nothing_has_happened_shows_no_empty_tables():
    text = drawn(stats_of(performance_of({}, [])))
    assert "no refresh judged yet" in text
    assert "extra compute" not in text


def test_errors_are_said_as_they_are():
    assert list(problems_of(stats_of(performance_of({}, [])))) == [
        r"catalog: the last computation failed: \[db] is away"
    ]


@pytest.mark.parametrize(
    ("budget", "name", "actual"),
    [
        (ExtraCompute(0.25), "extra_compute", 0.25),
        (TargetHitRatio(0.99), "target_hit_ratio", 0.96),
        (ComputeBudget(10.0), "budget_s_per_minute", 2.0),
    ],
)
def test_each_budget_shows_its_amount_in_its_own_unit(budget, name, actual):
    found = decided(budget)
    assert (found.budget, found.actual) == (name, pytest.approx(actual))
    assert drawn(stats_of(performance_of(COUNTERS, [], [found, found]))).count("actual") == 2


def test_a_curve_runs_from_the_least_extra_compute_to_the_most():
    points = decided(ExtraCompute(0.25), chance=0.5).what_if
    assert len(points) == 2, "without a refresh, and with the only one there was"
    assert points[0].refresh_s_per_minute == 0.0
    assert points[0].extra_compute < points[1].extra_compute
    assert points[0].miss_ratio == 0.08
    assert points[1].miss_ratio < 0.08


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "cp1252", "ascii"])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_stats_are_printed_whatever_the_terminal_can_show(monkeypatch, charset, options):
    found = stats_of(performance_of(COUNTERS, []))
    error = "5 \u20ac \U0001f6d2"
    found = found.model_copy(update={"task_details": [found.task_details[0].model_copy(update={"last_error": error})]})
    monkeypatch.setattr(status, "fleet", lambda: SimpleNamespace(stats=lambda: found))
    result = CliRunner(charset=charset).invoke(COMMAND, ["stats", *options])
    assert result.exit_code == 0, result.exception
    printed = result.stdout_bytes.decode(charset)
    if options:
        assert json.loads(printed)["task_details"][0]["last_error"] == error
    else:
        assert ("5 €" if charset in ("utf-8", "cp1252") else r"5 \u20ac") in printed
        assert ("─" in printed) == (charset == "utf-8")
