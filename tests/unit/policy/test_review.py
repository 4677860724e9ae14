"""A target is refreshed if that is worth it, reviewed again if not, and dropped when its reads have ended."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.policy.budget import ComputeBudget, ExtraCompute
from warmer.policy.history import LAPSED, OPEN, TO_REFRESH, History
from warmer.policy.model import Model
from warmer.policy.review import MAX_IDLE_TTLS, Reviewer
from warmer.policy.season import Season
from warmer.policy.spending import Spent
from warmer.policy.threshold import Threshold

START_S = 1_704_067_200.0
TTL_S = 60.0


def fixed(log_odds):
    threshold = Threshold(ExtraCompute(0.25))
    threshold.log_odds = log_odds
    return threshold


def read_often(until_s=START_S, every_s=5.0, for_s=600.0):
    history = History()
    for step in range(int(for_s / every_s), -1, -1):
        history.read(until_s - every_s * step, 1, TTL_S)
    history.published(until_s, cost_s=0.5)
    return history


def reviewer():
    return Reviewer(Model(), Season())


def test_a_target_that_will_be_read_is_refreshed_and_a_cold_one_is_not():
    hot, cold = read_often(), read_often(until_s=START_S - 50 * TTL_S)
    assert reviewer().review(hot, START_S, TTL_S, fixed(0.0)).refresh
    assert not reviewer().review(cold, START_S, TTL_S, fixed(0.0)).refresh


def test_a_chance_that_reaches_the_threshold_is_enough():
    decision = reviewer().review(read_often(), START_S, TTL_S, fixed(-math.inf))
    log_odds = math.log(decision.chance / (1 - decision.chance))
    assert reviewer().review(read_often(), START_S, TTL_S, fixed(log_odds - 1e-6)).refresh
    assert not reviewer().review(read_often(), START_S, TTL_S, fixed(log_odds + 1e-6)).refresh


def test_nothing_is_refreshed_while_the_fuse_is_cut_off():
    threshold = fixed(-4.0)
    threshold.is_cut_off = True
    assert not reviewer().review(read_often(), START_S, TTL_S, threshold).refresh


def test_a_target_without_reads_is_dropped():
    history, deciding, threshold = read_often(), reviewer(), fixed(8.0)
    now_s, reviews = START_S, 0
    while now_s is not None:
        decision = deciding.review(history, now_s, TTL_S, threshold)
        reviews += 1
        last_s, now_s = now_s, decision.next_review_s
    assert not decision.refresh
    assert history.flags == 0
    assert MAX_IDLE_TTLS < (last_s - START_S) / TTL_S < 1.3 * MAX_IDLE_TTLS
    assert reviews < 30


def test_a_target_without_reads_is_dropped_under_any_threshold():
    history, deciding, now_s, refreshes = read_often(), reviewer(), START_S, 0
    while now_s is not None:
        decision = deciding.review(history, now_s, TTL_S, fixed(-math.inf))
        refreshes += decision.refresh
        if decision.refresh:
            history.published(now_s + TTL_S, cost_s=0.5)
        now_s = decision.next_review_s
    assert refreshes == MAX_IDLE_TTLS + 1


@given(st.floats(0, 250 * TTL_S), st.sampled_from([-math.inf, 0.0, math.inf]))
def test_nothing_is_reviewed_twice_within_a_ttl(idle_s, log_odds):
    now_s = START_S + idle_s
    decision = reviewer().review(read_often(), now_s, TTL_S, fixed(log_odds))
    assert decision.next_review_s is None or decision.next_review_s >= now_s + TTL_S
    assert 0.0 <= decision.chance <= 1.0


@given(st.floats(0, 150 * TTL_S), st.floats(-4, 8))
def test_a_review_writes_its_decision_and_nothing_else(idle_s, log_odds):
    history, now_s = read_often(), START_S + idle_s
    before = {name: getattr(history, name) for name in History.__slots__}
    decision = reviewer().review(history, now_s, TTL_S, fixed(log_odds))
    changed = {name for name in History.__slots__ if getattr(history, name) != before[name]}
    assert changed == {"decided_s", "decision", "flags"}
    assert history.decided_s == now_s
    assert history.flags & OPEN
    assert bool(history.flags & TO_REFRESH) == decision.refresh
    assert bool(history.flags & LAPSED) == (idle_s >= TTL_S / 2)


def chance_after(outcome, reviews=200):
    """Review again and again a target that is always, or never, read within the ttl after its review."""
    deciding = reviewer()
    for _ in range(reviews):
        history = read_often()
        decision = deciding.review(history, START_S, TTL_S, fixed(math.inf))
        if outcome:
            history.read(START_S + 1, 1, TTL_S)
        deciding.review(history, START_S + TTL_S, TTL_S, fixed(math.inf))
    return decision.chance


def test_the_outcome_of_a_decision_is_learnt_at_the_next_review():
    assert chance_after(outcome=False) < 0.1
    assert chance_after(outcome=True) > 0.99


def test_a_decision_that_may_still_be_answered_teaches_nothing():
    deciding, untaught = reviewer(), Model().to_bytes()
    history = read_often()
    deciding.review(history, START_S, TTL_S, fixed(0.0))
    deciding.review(history, START_S + TTL_S / 2, TTL_S, fixed(0.0))
    assert deciding.model.to_bytes() == untaught
    history.read(START_S + TTL_S / 2 + 1, 1, TTL_S)
    deciding.review(history, START_S + TTL_S / 2 + 2, TTL_S, fixed(0.0))
    assert deciding.model.to_bytes() != untaught


def test_a_history_that_was_away_in_redis_is_decided_alike():
    once, twice, threshold = read_often(), History.unpack(read_often().pack()), fixed(0.0)
    one, other = reviewer(), reviewer()
    for step in range(5):
        now_s = START_S + step * TTL_S
        first = one.review(once, now_s, TTL_S, threshold)
        second = other.review(twice, now_s, TTL_S, threshold)
        assert second.refresh == first.refresh
        assert second.chance == pytest.approx(first.chance, abs=1e-4)
        twice = History.unpack(twice.pack())
        for history in (once, twice):
            history.read(now_s + 10 * step, 1, TTL_S)


def test_each_decision_shows_in_the_curve():
    threshold = Threshold(ComputeBudget(30))
    reviewer().review(read_often(), START_S, TTL_S, threshold)
    threshold.observe(START_S, Spent(reads=1, baseline_misses=1, baseline_s=0.5))
    threshold.observe(START_S + 60, Spent())
    assert threshold.curve()[-1].refresh_s_per_minute == pytest.approx(0.5, rel=0.01)
