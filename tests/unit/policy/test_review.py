"""A target is refreshed if it pays, asked again if it may, and let go if nobody comes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.policy.budget import ComputeBudget, ExtraCompute
from warmer.policy.history import LAPSED, OPEN, TO_REFRESH, History
from warmer.policy.model import Model
from warmer.policy.review import LONGEST_IDLE_TTLS, Reviewer
from warmer.policy.season import Season
from warmer.policy.spending import Spent
from warmer.policy.threshold import Threshold

START_S = 1_704_067_200.0
TTL_S = 60.0


def priced(log_odds):
    price = Threshold(ExtraCompute(0.25))
    price.log_odds = log_odds
    return price


def read_often(until_s=START_S, every_s=5.0, for_s=600.0):
    history = History()
    for step in range(int(for_s / every_s), -1, -1):
        history.read(until_s - every_s * step, 1, TTL_S)
    history.published(until_s, cost_s=0.5)
    return history


def reviewer():
    return Reviewer(Model(), Season())


def test_what_will_be_read_is_refreshed_and_what_will_not_is_let_be():
    hot, cold = read_often(), read_often(until_s=START_S - 50 * TTL_S)
    assert reviewer().review(hot, START_S, TTL_S, priced(0.0)).refresh
    assert not reviewer().review(cold, START_S, TTL_S, priced(0.0)).refresh


def test_a_chance_as_high_as_the_price_is_enough():
    verdict = reviewer().review(read_often(), START_S, TTL_S, priced(-math.inf))
    log_odds = math.log(verdict.chance / (1 - verdict.chance))
    assert reviewer().review(read_often(), START_S, TTL_S, priced(log_odds - 1e-6)).refresh
    assert not reviewer().review(read_often(), START_S, TTL_S, priced(log_odds + 1e-6)).refresh


def test_nothing_is_refreshed_while_the_fuse_is_blown():
    price = priced(-4.0)
    price.is_blown = True
    assert not reviewer().review(read_often(), START_S, TTL_S, price).refresh


def test_a_target_without_reads_is_let_go():
    history, asking, price = read_often(), reviewer(), priced(8.0)
    now_s, reviews = START_S, 0
    while now_s is not None:
        verdict = asking.review(history, now_s, TTL_S, price)
        reviews += 1
        last_s, now_s = now_s, verdict.again_s
    assert not verdict.refresh
    assert history.flags == 0
    assert LONGEST_IDLE_TTLS < (last_s - START_S) / TTL_S < 1.3 * LONGEST_IDLE_TTLS
    assert reviews < 30


def test_even_one_that_is_refreshed_at_any_price_is_let_go():
    history, asking, now_s, refreshes = read_often(), reviewer(), START_S, 0
    while now_s is not None:
        verdict = asking.review(history, now_s, TTL_S, priced(-math.inf))
        refreshes += verdict.refresh
        if verdict.refresh:
            history.published(now_s + TTL_S, cost_s=0.5)
        now_s = verdict.again_s
    assert refreshes == LONGEST_IDLE_TTLS + 1


@given(st.floats(0, 250 * TTL_S), st.sampled_from([-math.inf, 0.0, math.inf]))
def test_nothing_is_asked_about_twice_within_a_ttl(idle_s, log_odds):
    now_s = START_S + idle_s
    verdict = reviewer().review(read_often(), now_s, TTL_S, priced(log_odds))
    assert verdict.again_s is None or verdict.again_s >= now_s + TTL_S
    assert 0.0 <= verdict.chance <= 1.0


@given(st.floats(0, 150 * TTL_S), st.floats(-4, 8))
def test_a_review_writes_its_decision_and_nothing_else(idle_s, log_odds):
    history, now_s = read_often(), START_S + idle_s
    before = {name: getattr(history, name) for name in History.__slots__}
    verdict = reviewer().review(history, now_s, TTL_S, priced(log_odds))
    changed = {name for name in History.__slots__ if getattr(history, name) != before[name]}
    assert changed == {"decided_s", "decision", "flags"}
    assert history.decided_s == now_s
    assert history.flags & OPEN
    assert bool(history.flags & TO_REFRESH) == verdict.refresh
    assert bool(history.flags & LAPSED) == (idle_s >= TTL_S / 2)


def chance_after(outcome, reviews=200):
    """Review again and again a target that is always, or never, read within the ttl after its review."""
    asking = reviewer()
    for _ in range(reviews):
        history = read_often()
        verdict = asking.review(history, START_S, TTL_S, priced(math.inf))
        if outcome:
            history.read(START_S + 1, 1, TTL_S)
        asking.review(history, START_S + TTL_S, TTL_S, priced(math.inf))
    return verdict.chance


def test_what_came_of_a_decision_is_learnt_at_the_next_review():
    assert chance_after(outcome=False) < 0.1
    assert chance_after(outcome=True) > 0.99


def test_a_decision_that_may_still_be_answered_teaches_nothing():
    asking, untaught = reviewer(), Model().to_bytes()
    history = read_often()
    asking.review(history, START_S, TTL_S, priced(0.0))
    asking.review(history, START_S + TTL_S / 2, TTL_S, priced(0.0))
    assert asking.model.to_bytes() == untaught
    history.read(START_S + TTL_S / 2 + 1, 1, TTL_S)
    asking.review(history, START_S + TTL_S / 2 + 2, TTL_S, priced(0.0))
    assert asking.model.to_bytes() != untaught


def test_a_history_that_was_away_in_redis_is_decided_alike():
    once, twice, price = read_often(), History.unpack(read_often().pack()), priced(0.0)
    one, other = reviewer(), reviewer()
    for step in range(5):
        now_s = START_S + step * TTL_S
        first = one.review(once, now_s, TTL_S, price)
        second = other.review(twice, now_s, TTL_S, price)
        assert second.refresh == first.refresh
        assert second.chance == pytest.approx(first.chance, abs=1e-4)
        twice = History.unpack(twice.pack())
        for history in (once, twice):
            history.read(now_s + 10 * step, 1, TTL_S)


def test_each_decision_shows_in_the_curve():
    price = Threshold(ComputeBudget(30))
    reviewer().review(read_often(), START_S, TTL_S, price)
    price.observe(START_S, Spent(reads=1, plain_misses=1, plain_s=0.5))
    price.observe(START_S + 60, Spent())
    assert price.curve()[-1].refresh_s_per_minute == pytest.approx(0.5, rel=0.01)
