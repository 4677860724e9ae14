"""Each policy agrees with theory and with small examples."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.simulation.policies import FIXED, SWEPT
from warmer.simulation.policies.clairvoyant import replay_clairvoyant
from warmer.simulation.policies.renewal import replay_renewals
from warmer.simulation.policies.renewal_credits import replay_rlfu, replay_rlru
from warmer.simulation.policies.tiers import replay_tiers
from warmer.simulation.policies.unconditional import replay_all, replay_baseline
from warmer.simulation.policies.xfetch import replay_xfetch
from warmer.simulation.trace.by_key import ReadsByKey
from warmer.simulation.trace.trace import Trace, trace_of

TTL_S = 10.0
EVERY = (*FIXED, *SWEPT)
KEYS = st.lists(st.lists(st.integers(0, 200), min_size=1, max_size=40), min_size=1, max_size=4)


def trace_of_keys(keys):
    rows = [(float(at), key, 1, None) for key, times in enumerate(keys) for at in times]
    return trace_of("any", rows)


def by_key_of(keys, warmup=0.0):
    return ReadsByKey.of(trace_of_keys(keys), TTL_S, warmup)


def poisson(rate, keys, span_s, seed=1):
    """Reads of keys that come at random, at one rate."""
    random = Random(seed)
    rows = []
    for key in range(keys):
        at_s = random.expovariate(rate)
        while at_s < span_s:
            rows.append((at_s, key, 1, None))
            at_s += random.expovariate(rate)
    return trace_of("poisson", rows)


def zipf(keys, reads, span_s, seed=2):
    """Reads at random of keys of very different popularity."""
    random = Random(seed)
    drawn = random.choices(range(keys), [1 / (rank + 1) for rank in range(keys)], k=reads)
    return trace_of("zipf", [(float(random.randrange(int(span_s))), key, 1, None) for key in drawn])


def every_replay(by_key):
    """Each policy, and those with a setting in several."""
    baseline = replay_baseline(by_key)
    for replay in FIXED.values():
        yield replay(by_key, baseline)
    for sweep in SWEPT.values():
        for setting in sweep.settings[::5]:
            yield sweep.replay(by_key, setting, baseline)


def intervals_that_cover(times, ttl_s):
    """The minimum number of intervals of one length that cover points, each beginning at a point or later."""
    count, until = 0, None
    for at in sorted(times):
        if until is None or at >= until:
            count, until = count + 1, at + ttl_s
    return count


class Oracle:
    """Renews once if a read comes within the next ttl."""

    def __init__(self, key):
        self.times_s = key.times_s

    def read(self, reads):
        pass

    def renew(self, fresh_until_s, row, needed):
        return int(needed == 1 and row < len(self.times_s))


# --- closed forms ----------------------------------------------------------------------------------------------
def test_renewing_a_poisson_key_of_four_reads_per_ttl_costs_a_quarter_more_and_leaves_no_removable_miss():
    by_key = ReadsByKey.of(poisson(rate=4 / 60, keys=50, span_s=60 * 400), 60.0, 0.2)
    everything = replay_all(by_key, replay_baseline(by_key))
    assert everything.compute_ratio == pytest.approx(1.25, abs=0.005)
    assert everything.misses == everything.compulsory == 0
    assert everything.removed == 1.0
    assert 1 - everything.wasted_ratio == pytest.approx(1 - 2.718281828**-4, abs=0.005)


def test_a_plain_cache_of_poisson_reads_misses_one_in_one_plus_r_ttl_reads():
    by_key = ReadsByKey.of(poisson(rate=4 / 60, keys=50, span_s=60 * 400), 60.0, 0.2)
    assert replay_baseline(by_key).miss_ratio == pytest.approx(1 / 5, abs=0.005)


@given(KEYS)
def test_a_plain_cache_computes_as_often_as_the_fewest_intervals_that_cover_the_reads(keys):
    baseline = replay_baseline(by_key_of(keys))
    assert baseline.misses == sum(intervals_that_cover(times, TTL_S) for times in keys)
    assert baseline.compute_ratio == 1.0


@given(KEYS)
def test_no_policy_computes_less_than_a_plain_cache(keys):
    assert all(replayed.compute_ratio >= 1.0 for replayed in every_replay(by_key_of(keys)))


@given(KEYS)
def test_one_credit_of_r_lru_misses_exactly_what_the_oracle_of_expiry_misses(keys):
    by_key = by_key_of(keys)
    baseline = replay_baseline(by_key)
    assert replay_rlru(by_key, 1, baseline).misses == replay_renewals(by_key, Oracle, baseline).misses


@given(KEYS, st.sampled_from([0.0, 0.3]))
def test_the_counts_of_every_policy_are_consistent(keys, warmup):
    by_key = by_key_of(keys, warmup)
    for replayed in every_replay(by_key):
        assert replayed.compulsory <= replayed.misses <= replayed.reads
        assert 0 <= replayed.wasted <= replayed.refreshes
        assert replayed.compulsory == replay_baseline(by_key).compulsory
        assert replayed.peak_concurrency >= (replayed.misses > 0)


@given(KEYS)
def test_a_useful_refresh_of_a_renewal_policy_saves_a_miss(keys):
    by_key = by_key_of(keys)
    baseline = replay_baseline(by_key)
    for replayed in (
        replay_all(by_key, baseline),
        replay_rlru(by_key, 2, baseline),
        replay_rlfu(by_key, 0.5, baseline),
    ):
        useful = replayed.refreshes - replayed.wasted
        assert replayed.misses + useful >= baseline.misses


@given(KEYS)
def test_renewing_everything_misses_first_reads_only(keys):
    by_key = by_key_of(keys)
    everything = replay_all(by_key, replay_baseline(by_key))
    assert everything.misses == everything.compulsory == len(keys)


@pytest.mark.parametrize("trace", [poisson(0.02, 60, 20_000), zipf(200, 12_000, 20_000)], ids=lambda trace: trace.name)
@pytest.mark.parametrize("extra", [0.05, 0.25, 0.5])
def test_no_policy_beats_the_clairvoyant(trace, extra):
    by_key = ReadsByKey.of(trace, 60.0, 0.2)
    baseline = replay_baseline(by_key)
    removed = {name: sweep.frontier(by_key, baseline, [extra]).at(extra).removed for name, sweep in SWEPT.items()}
    assert removed["clairvoyant"] == max(removed.values())
    assert removed["clairvoyant"] > removed["rlfu"] > 0


# --- small examples ------------------------------------------------------------------------------------------
def test_a_value_is_not_served_at_the_end_of_its_ttl():
    assert replay_baseline(by_key_of([[0, 9, 10, 19, 20]])).misses == 3


def test_reads_of_one_moment_share_one_computation():
    by_key = ReadsByKey.of(Trace("crowd", [0.0, 50.0], [0, 0], [100, 100]), TTL_S, 0.0)
    assert (replay_baseline(by_key).misses, replay_baseline(by_key).reads) == (2, 200)


def test_r_lru_renews_as_often_after_the_latest_read_as_it_has_credits():
    by_key = by_key_of([[0, 25, 200]])
    replayed = replay_rlru(by_key, 2, replay_baseline(by_key))
    assert (replayed.misses, replayed.refreshes, replayed.wasted) == (2, 4, 3)


def test_r_lfu_keeps_the_credits_that_reads_have_earned():
    by_key = ReadsByKey.of(Trace("hot, then idle", [0.0, 35.0, 60.0], [0, 0, 0], [8, 1, 1]), TTL_S, 0.0)
    replayed = replay_rlfu(by_key, 0.5, replay_baseline(by_key))
    assert (replayed.misses, replayed.refreshes, replayed.wasted) == (2, 4, 3)


def test_the_credits_of_r_lfu_are_bounded():
    by_key = ReadsByKey.of(Trace("very hot, then idle", [0.0, 10_000.0], [0, 0], [100_000, 1]), TTL_S, 0.0)
    assert replay_rlfu(by_key, 1, replay_baseline(by_key)).refreshes == 20


def test_xfetch_refreshes_only_on_reads_and_the_reader_does_not_wait():
    by_key = by_key_of([[0, 9, 12], [0, 100]])
    eager = replay_xfetch(by_key, 1e9, replay_baseline(by_key))
    assert (eager.misses, eager.refreshes, eager.wasted) == (3, 2, 1)
    lazy = replay_xfetch(by_key, 1e-9, replay_baseline(by_key))
    assert (lazy.misses, lazy.refreshes) == (replay_baseline(by_key).misses, 0)


def test_tiers_refresh_by_the_reads_of_the_last_hour_regardless_of_the_ttl():
    busy = Trace("busy", [float(second) for second in range(0, 7200 * 3, 20)], [0] * 1080, [1] * 1080)
    by_key = ReadsByKey.of(busy, 900.0, 0.5)
    replayed = replay_tiers(by_key, replay_baseline(by_key))
    assert (replayed.misses, replayed.refreshes, replayed.wasted) == (0, 12, 0)


def test_the_clairvoyant_buys_only_what_its_patience_allows():
    by_key = by_key_of([[0, 12, 49, 100]])
    refreshes = {patience: replay_clairvoyant(by_key, patience, replay_baseline(by_key)) for patience in (0.5, 3, 100)}
    assert [replayed.refreshes for replayed in refreshes.values()] == [1, 4, 10]
    assert [replayed.misses for replayed in refreshes.values()] == [3, 2, 1]


def test_the_warm_up_does_not_count():
    by_key = by_key_of([[0, 95, 100, 200], [150, 200]], warmup=0.5)
    baseline = replay_baseline(by_key)
    assert (baseline.reads, baseline.misses, baseline.compulsory) == (4, 3, 1)
    assert replay_all(by_key, baseline).refreshes == 10 + 5 + 1


def test_compute_seconds_are_what_the_keys_cost_at_the_time():
    by_key = ReadsByKey.of(Trace("costs", [0.0, 15.0, 100.0], [0, 0, 0], [1, 1, 1], [2.0, 3.0, 5.0]), TTL_S, 0.0)
    baseline = replay_baseline(by_key)
    assert baseline.compute_s == 10.0
    renewed = replay_rlru(by_key, 1, baseline)
    assert renewed.compute_s == 2.0 + 2.0 + 3.0 + 5.0
    assert renewed.compute_s_ratio == pytest.approx(1.2)


def test_the_peak_counts_computations_in_the_same_second():
    times_s, keys = [0.0, 0.0, 1.0, 2.5], [0, 1, 2, 3]
    slow = Trace("slow", times_s, keys, [1] * 4, [2.0, 1.0, 2.0, 0.1])
    assert replay_baseline(ReadsByKey.of(slow, TTL_S, 0.0)).peak_concurrency == 2
    unknown = Trace("unknown", times_s, keys, [1] * 4)
    assert replay_baseline(ReadsByKey.of(unknown, TTL_S, 0.0)).peak_concurrency == 2


def test_the_peak_of_renewing_everything_is_found_at_its_end():
    trace = poisson(0.01, 80, 3000)
    by_key = ReadsByKey.of(trace, 60.0, 0.2)
    baseline = replay_baseline(by_key)
    assert replay_all(by_key, baseline).peak_concurrency == replay_rlru(by_key, 10**6, baseline).peak_concurrency
