"""A threshold holds its budget, of each kind."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.errors import PolicyStateError, SettingsError
from warmer.policy.budget import ComputeBudget, ExtraCompute, TargetHitRatio
from warmer.policy.spending import Spending, Spent
from warmer.policy.threshold import CUTOFF, MAX_LOG_ODDS, MIN_LOG_ODDS, Threshold
from warmer.policy.what_if import BaselineTotals, WhatIfCurve, ttls_per_miss

START_S = 1_704_067_200.0

budgets = st.one_of(
    st.builds(ExtraCompute, st.floats(0.01, 100)),
    st.builds(TargetHitRatio, st.floats(0.01, 0.999)),
    st.builds(ComputeBudget, st.floats(0.01, 1e5)),
)
amounts = st.floats(0, 1e6)
spendings = st.builds(Spent, *[amounts] * 7)


def decide(threshold):
    """Record one decision of each kind."""
    for step in range(-16, 17):
        threshold.record(
            step / 4, 1 / (1 + math.exp(-step / 4)), ttls=1.0, cost_s=1.0, refresh=step / 4 >= threshold.log_odds
        )


def observing(threshold, spent, minutes):
    for minute in range(minutes):
        decide(threshold)
        threshold.observe(START_S + 60 * minute, spent)
    return threshold


@pytest.mark.parametrize(
    ("budget", "value"),
    [
        (ExtraCompute, 0.0),
        (ExtraCompute, -1.0),
        (ExtraCompute, 101.0),
        (ExtraCompute, math.nan),
        (TargetHitRatio, 0.0),
        (TargetHitRatio, 1.0),
        (TargetHitRatio, 99.0),
        (ComputeBudget, 0.0),
        (ComputeBudget, math.inf),
    ],
)
def test_a_budget_out_of_its_range_is_refused(budget, value):
    with pytest.raises(SettingsError, match=r"expected .* got "):
        budget(value)


@given(budgets, st.lists(spendings, max_size=5), st.lists(st.tuples(st.floats(-20, 20), amounts), max_size=5))
def test_the_threshold_is_never_out_of_bounds(budget, spent, decisions):
    threshold = Threshold(budget)
    for log_odds, cost_s in decisions:
        threshold.record(log_odds, chance=0.5, ttls=1.0, cost_s=cost_s, refresh=True)
    for minute, one in enumerate(spent):
        threshold.observe(START_S + 60 * minute, one)
        assert MIN_LOG_ODDS <= threshold.log_odds <= MAX_LOG_ODDS


def test_nothing_counts_before_the_first_decision():
    threshold, first = Threshold(ExtraCompute(0.25)), Threshold(ExtraCompute(0.25)).log_odds
    for minute in range(100):
        threshold.observe(START_S + 60 * minute, Spent(baseline_misses=100, baseline_s=100, misses=100, miss_s=100))
    assert threshold.log_odds == first


def test_overspending_raises_the_threshold_and_underspending_lowers_it():
    allowed = Spent(reads=1000, refreshes=25, refresh_s=25, baseline_misses=100, baseline_s=100, misses=100, miss_s=100)
    held, over, under = (
        observing(Threshold(ExtraCompute(0.25)), allowed._replace(refresh_s=refresh_s), 60)
        for refresh_s in (25, 32, 18)
    )
    assert under.log_odds < held.log_odds < over.log_odds


@pytest.mark.parametrize(("times", "cut_off"), [(0.9 * CUTOFF, False), (1.1 * CUTOFF, True)])
def test_refreshes_are_cut_off_at_one_and_a_half_times_the_budget(times, cut_off):
    extra = Threshold(ExtraCompute(0.2))
    observing(extra, Spent(refresh_s=20 * times, baseline_misses=100, baseline_s=100, misses=100, miss_s=100), 60)
    assert extra.is_cut_off == cut_off
    budget = Threshold(ComputeBudget(30))
    observing(budget, Spent(refresh_s=30 * times), 1440)
    assert budget.is_cut_off == cut_off


def test_the_cutoff_ends_once_spending_has_stopped():
    threshold = observing(Threshold(ComputeBudget(30)), Spent(refresh_s=90), 60)
    assert threshold.is_cut_off
    for minute in range(60, 600):
        threshold.observe(START_S + 60 * minute, Spent())
    assert not threshold.is_cut_off


def test_too_many_misses_lower_the_threshold():
    spent = Spent(reads=1000, baseline_misses=100, baseline_s=100)
    many, few = (observing(Threshold(TargetHitRatio(0.95)), spent._replace(misses=misses), 60) for misses in (70, 40))
    assert many.log_odds < few.log_odds
    assert not many.is_cut_off


def test_a_hit_ratio_that_a_plain_cache_reaches_needs_no_refresh():
    threshold = Threshold(TargetHitRatio(0.5))
    for minute in range(600):
        threshold.record(2.0, chance=0.88, ttls=1.0, cost_s=1.0, refresh=False)
        threshold.observe(START_S + 60 * minute, Spent(reads=1000, misses=100, baseline_misses=100, baseline_s=100))
    assert threshold.log_odds > 6


def test_twice_the_budget_asks_for_more_of_the_same_curve():
    def met(budget):
        return observing(
            Threshold(budget), Spent(reads=100, baseline_misses=15, baseline_s=15, misses=15, miss_s=15), 600
        ).log_odds

    assert met(ComputeBudget(20)) < met(ComputeBudget(10))
    assert met(ExtraCompute(0.5)) < met(ExtraCompute(0.1))
    assert met(TargetHitRatio(0.93)) < met(TargetHitRatio(0.87))


@given(st.floats(0.01, 20))
def test_the_cost_of_a_poisson_target_is_that_of_the_closed_form(reads_per_ttl):
    chance = -math.expm1(-reads_per_ttl)
    assert chance / ttls_per_miss(chance) == pytest.approx(reads_per_ttl / (1 + reads_per_ttl), rel=1e-6)


def test_a_lower_threshold_costs_more_and_misses_less():
    what_if = WhatIfCurve()
    for step in range(-40, 41):
        what_if.record(step / 4, 1 / (1 + math.exp(-step / 4)), ttls=1.0, cost_s=0.5)
    curve = what_if.points(BaselineTotals(seconds=60, reads=1000, misses=40, compute_s=20))
    assert [point.log_odds for point in curve] == sorted((point.log_odds for point in curve), reverse=True)
    assert [point.extra_compute for point in curve] == sorted(point.extra_compute for point in curve)
    assert [point.miss_ratio for point in curve] == sorted((point.miss_ratio for point in curve), reverse=True)
    assert curve[-1].refresh_s_per_minute == pytest.approx(81 * 0.5)


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(0, 100)), max_size=20), amounts)
def test_refreshes_above_a_threshold_add_up_to_its_amount(decisions, amount):
    what_if = WhatIfCurve()
    for log_odds, cost_s in decisions:
        what_if.record(log_odds, chance=0.5, ttls=1.0, cost_s=cost_s)
    log_odds = what_if.log_odds_at(what_if.refresh_s, amount)
    above = sum(one for step, one in enumerate(what_if.refresh_s) if -8 + step / 4 >= log_odds)
    assert above <= amount + 1e-6


def test_sums_fade_with_their_memory():
    spending = Spending(memory_s=3600.0)
    spending.add(Spent(reads=100))
    assert spending.decay(3600.0) == pytest.approx(math.exp(-1))
    assert spending.spent.reads == pytest.approx(100 / math.e)
    assert spending.seconds == 3600.0


def test_a_threshold_comes_back_from_its_bytes():
    threshold = observing(Threshold(ExtraCompute(0.25)), Spent(10, 5, 5.0, 2, 2.0, 6, 6.0), 30)
    again = Threshold.from_bytes(ExtraCompute(0.25), threshold.to_bytes())
    assert again.to_bytes() == threshold.to_bytes()
    for one in (threshold, again):
        one.observe(START_S + 3600, Spent(10, 5, 5.0, 2, 2.0, 6, 6.0))
    assert again.log_odds == threshold.log_odds
    assert again.curve() == threshold.curve()


@pytest.mark.parametrize("packed", [b"", b"abc", Threshold(ExtraCompute(0.1)).to_bytes()[:-1]])
def test_other_bytes_are_refused(packed):
    with pytest.raises(PolicyStateError, match=r"expected .* bytes of a"):
        Threshold.from_bytes(ExtraCompute(0.1), packed)
