"""The model starts as a Poisson process and learns the difference."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.errors import PolicyStateError
from warmer.policy.features import bins_of, packed_decision, seen_at
from warmer.policy.history import EPOCH_S, History
from warmer.policy.model import Model, chance_of, model_input

START_S = EPOCH_S + 1e8

some_bins = st.lists(st.integers(0, 15), min_size=8, max_size=8)


@given(st.floats(0.01, 20))
def test_an_untaught_model_predicts_a_poisson_process(reads_per_ttl):
    history = History()
    history.last_s, history.reads_16 = START_S, 16 * reads_per_ttl
    bins, poisson = bins_of(history, START_S, 60.0, load=1.0)
    chance = chance_of(Model().log_odds(model_input(bins, False, poisson)))
    assert math.isclose(chance, 1 - math.exp(-reads_per_ttl), rel_tol=1e-9)


@given(
    st.lists(st.tuples(st.floats(0, 1e5), st.integers(1, 10**6)), max_size=10),
    st.floats(0, 1e6),
    st.sampled_from([1.0, 60.0, 86400.0]),
    st.floats(0, 100),
)
def test_every_history_has_a_bin_for_each_feature(steps, later_s, ttl_s, load):
    history, now = History(), START_S
    for gap, reads in steps:
        now += gap
        history.read(now, reads, ttl_s)
    bins, poisson = bins_of(history, now + later_s, ttl_s, load)
    assert len(bins) == 8
    assert all(0 <= one <= 15 for one in bins)
    assert math.isfinite(poisson)


@given(some_bins, st.booleans(), st.integers(-80, 80), st.floats(-50, 50))
def test_a_packed_decision_gives_back_the_input_of_the_model(bins, has_lapsed, eighths, log_odds):
    packed = packed_decision(bins, eighths / 8, log_odds)
    assert len(packed) == 6
    assert seen_at(packed, has_lapsed) == model_input(bins, has_lapsed, eighths / 8)


def test_the_model_learns_which_targets_are_read_on_a_timer():
    model, draw = Model(), random.Random(1)
    on_time, too_late = (
        model_input([3, 5, 5, 5, 5, 1, 9, 8], False, 0.0),
        model_input([3, 5, 5, 5, 5, 1, 12, 8], False, 0.0),
    )
    for _ in range(2000):
        model.learn(on_time, draw.random() < 0.9)
        model.learn(too_late, draw.random() < 0.1)
    assert chance_of(model.log_odds(on_time)) == pytest.approx(0.9, abs=0.05)
    assert chance_of(model.log_odds(too_late)) == pytest.approx(0.1, abs=0.05)


@given(some_bins, st.booleans(), st.floats(-10, 30))
def test_learning_moves_the_chance_towards_the_outcome(bins, was_read, poisson):
    model, seen = Model(), model_input(bins, False, poisson)
    before = chance_of(model.log_odds(seen))
    model.learn(seen, was_read)
    after = chance_of(model.log_odds(seen))
    assert abs(after - was_read) <= abs(before - was_read)


def test_a_model_comes_back_from_its_bytes():
    model, seen = Model(), model_input([3] * 8, True, 1.0)
    for _ in range(10):
        model.learn(seen, was_read=False)
    again = Model.from_bytes(model.to_bytes())
    assert again.log_odds(seen) == pytest.approx(model.log_odds(seen), rel=1e-5)
    assert again.to_bytes() == model.to_bytes()


def test_other_bytes_are_refused():
    with pytest.raises(PolicyStateError, match="bytes of a model, got 3"):
        Model.from_bytes(b"abc")
