"""The production policy, result: it agrees with closed forms, and budgets are held."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmer.policy.budget import ComputeBudget, ExtraCompute, TargetHitRatio
from warmer.policy.threshold import Threshold
from warmer.simulation.policies.production import replay_production
from warmer.simulation.trace.trace import Trace

TTL_S = 60.0


class FixedThreshold(Threshold):
    """A threshold that spending does not move."""

    __slots__ = ()

    def __init__(self, log_odds):
        super().__init__(ExtraCompute(0.25))
        self.log_odds = log_odds

    def observe(self, now_s, spent):
        """Stay."""


ALWAYS, NEVER = -1e9, 1e9


def poisson_trace(reads_per_ttl, ttls, seed=1):
    """Return the reads of one key per rate."""
    draw, rows = random.Random(seed), []
    for key, rate in enumerate(reads_per_ttl):
        at_s = draw.expovariate(rate / TTL_S)
        while at_s < ttls * TTL_S:
            rows.append((at_s, key))
            at_s += draw.expovariate(rate / TTL_S)
    rows.sort()
    return Trace("poisson", [at_s for at_s, _ in rows], [key for _, key in rows], [1] * len(rows))


def baseline_misses(trace, ttl_s, from_s):
    """Count the fewest intervals of one ttl that cover all reads of each key: greedily from the first."""
    covered_until_s, count = {}, 0
    for at_s, key in zip(trace.times_s, trace.keys, strict=True):
        if at_s >= covered_until_s.get(key, 0.0):
            covered_until_s[key] = at_s + ttl_s
            count += at_s >= from_s
    return count


rows = st.lists(st.tuples(st.integers(0, 120), st.integers(0, 3)), min_size=1, max_size=60)


def trace_of_gaps(gaps):
    at_s, times_s, numbers, keys = 0, [], {}, []
    for gap, key in gaps:
        at_s += gap
        times_s.append(float(at_s))
        keys.append(numbers.setdefault(key, len(numbers)))
    return Trace("drawn", times_s, keys, [1] * len(keys))


def test_always_refreshing_a_poisson_target_of_four_reads_a_ttl_costs_a_quarter_more_and_misses_nothing():
    trace = poisson_trace([4.0] * 5, ttls=4000)
    result = replay_production(trace, TTL_S, FixedThreshold(ALWAYS))
    assert result.compute_ratio == pytest.approx(1.25, abs=0.01)
    assert result.removed == 1.0


@given(rows, st.sampled_from([0.0, 0.2, 0.5]))
def test_never_refreshing_is_a_plain_ttl_cache(gaps, warmup):
    trace = trace_of_gaps(gaps)
    result = replay_production(trace, TTL_S, FixedThreshold(NEVER), warmup)
    expected = baseline_misses(trace, TTL_S, trace.counted_from_s(warmup))
    assert (result.misses, result.baseline_misses, result.refreshes) == (expected, expected, 0)


@settings(deadline=None)
@given(rows, st.sampled_from([ALWAYS, -1.0, 0.0, 1.0, NEVER]))
def test_no_threshold_makes_warming_cheaper_than_a_plain_ttl_cache(gaps, log_odds):
    trace = trace_of_gaps(gaps)
    result = replay_production(trace, TTL_S, FixedThreshold(log_odds), warmup=0.0)
    assert result.compute_ratio >= 1.0
    assert result.baseline_misses == baseline_misses(trace, TTL_S, 0.0)
    assert result.compulsory <= result.misses <= result.reads
    assert 0 <= result.wasted <= result.refreshes


def test_reads_that_end_leave_a_bounded_number_of_refreshes():
    trace = Trace("ended", [0.0, 1e6], [0, 1], [1, 1])
    result = replay_production(trace, TTL_S, FixedThreshold(ALWAYS), warmup=0.0)
    assert result.refreshes == 200
    assert result.wasted == 200


MIXTURE = [0.02] * 40 + [0.1] * 40 + [0.5] * 30 + [2.0] * 20 + [6.0] * 10


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_extra_compute_is_held_within_five_percent(share):
    result = replay_production(poisson_trace(MIXTURE, ttls=600), TTL_S, Threshold(ExtraCompute(share)))
    assert result.compute_ratio - 1.0 == pytest.approx(share, rel=0.05)


def test_extra_compute_is_held_in_compute_seconds():
    trace = poisson_trace(MIXTURE, ttls=600)
    costly = Trace("costly", trace.times_s, trace.keys, trace.reads, [10.0 if key % 3 else 0.1 for key in trace.keys])
    result = replay_production(costly, TTL_S, Threshold(ExtraCompute(0.25)))
    assert result.compute_s_ratio == pytest.approx(1.25, rel=0.02)


def test_a_hit_ratio_is_reached_without_overspending():
    trace = poisson_trace(MIXTURE, ttls=600)
    baseline = replay_production(trace, TTL_S, FixedThreshold(NEVER))
    wanted = 1.0 - baseline.miss_ratio / 2.0
    result = replay_production(trace, TTL_S, Threshold(TargetHitRatio(wanted)))
    assert 1.0 - result.miss_ratio == pytest.approx(wanted, abs=0.05 * baseline.miss_ratio)
    assert result.compute_ratio < 1.5


def test_a_budget_is_held():
    trace = poisson_trace(MIXTURE, ttls=600)
    result = replay_production(trace, TTL_S, Threshold(ComputeBudget(20)))
    assert 60.0 * result.refreshes / (0.8 * trace.span_s) == pytest.approx(20, rel=0.05)


def test_the_curve_predicts_the_result_of_another_budget():
    trace, threshold = poisson_trace(MIXTURE, ttls=600), Threshold(ExtraCompute(0.1))
    replay_production(trace, TTL_S, threshold)
    predicted = min(threshold.curve(), key=lambda point: abs(point.extra_compute - 0.25))
    actual = replay_production(trace, TTL_S, Threshold(ExtraCompute(predicted.extra_compute)))
    assert actual.miss_ratio == pytest.approx(predicted.miss_ratio, rel=0.15)


def test_targets_read_by_a_timer_are_distinguished_from_those_that_are_no_longer_read():
    draw, rows = random.Random(1), []
    for key in range(200):
        begin_s = draw.uniform(0, 20000)
        reads = 200 if key % 2 else 2
        rows += [(begin_s + 90.0 * number, key) for number in range(reads)]
    rows.sort()
    numbers = {}
    keys = [numbers.setdefault(key, len(numbers)) for _, key in rows]
    trace = Trace("timers", [at_s for at_s, _ in rows], keys, [1] * len(rows))
    result = replay_production(trace, TTL_S, Threshold(ExtraCompute(0.5)))
    assert result.removed > 0.45


def test_a_replay_is_deterministic():
    trace = poisson_trace(MIXTURE, ttls=50)
    assert replay_production(trace, TTL_S, Threshold(ExtraCompute(0.25))) == replay_production(
        trace, TTL_S, Threshold(ExtraCompute(0.25))
    )
