"""What each policy does with reads, beside what theory says it must."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.simulation.policies import FIXED, SWEPT
from warmer.simulation.policies.clairvoyant import replay_clairvoyant
from warmer.simulation.policies.plain import replay_all, replay_plain
from warmer.simulation.policies.renewal import replay_renewals
from warmer.simulation.policies.renewal_credits import replay_rlfu, replay_rlru
from warmer.simulation.policies.tiers import replay_tiers
from warmer.simulation.policies.xfetch import replay_xfetch
from warmer.simulation.trace.by_key import reads_by_key_of
from warmer.simulation.trace.trace import Trace, trace_of

TTL_S = 10.0
EVERY = (*FIXED, *SWEPT)
KEYS = st.lists(st.lists(st.integers(0, 200), min_size=1, max_size=40), min_size=1, max_size=4)


def trace_of_keys(keys):
    rows = [(float(at), key, 1, None) for key, times in enumerate(keys) for at in times]
    return trace_of("any", rows)


def course_of_keys(keys, warmup=0.0):
    return reads_by_key_of(trace_of_keys(keys), TTL_S, warmup)


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


def every_replay(course):
    """Each policy, and those with a setting in several."""
    plain = replay_plain(course)
    for replay in FIXED.values():
        yield replay(course, plain)
    for sweep in SWEPT.values():
        for setting in sweep.settings[::5]:
            yield sweep.replay(course, setting, plain)


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
    course = reads_by_key_of(poisson(rate=4 / 60, keys=50, span_s=60 * 400), 60.0, 0.2)
    everything = replay_all(course, replay_plain(course))
    assert everything.compute_ratio == pytest.approx(1.25, abs=0.005)
    assert everything.misses == everything.compulsory == 0
    assert everything.removed == 1.0
    assert 1 - everything.wasted_ratio == pytest.approx(1 - 2.718281828**-4, abs=0.005)


def test_a_plain_cache_of_poisson_reads_misses_once_in_one_and_r_ttl_reads():
    course = reads_by_key_of(poisson(rate=4 / 60, keys=50, span_s=60 * 400), 60.0, 0.2)
    assert replay_plain(course).miss_ratio == pytest.approx(1 / 5, abs=0.005)


@given(KEYS)
def test_a_plain_cache_computes_as_often_as_the_fewest_intervals_that_cover_the_reads(keys):
    plain = replay_plain(course_of_keys(keys))
    assert plain.misses == sum(intervals_that_cover(times, TTL_S) for times in keys)
    assert plain.compute_ratio == 1.0


@given(KEYS)
def test_no_policy_computes_less_than_a_plain_cache(keys):
    assert all(replayed.compute_ratio >= 1.0 for replayed in every_replay(course_of_keys(keys)))


@given(KEYS)
def test_one_credit_of_r_lru_misses_exactly_what_the_oracle_of_expiry_misses(keys):
    course = course_of_keys(keys)
    plain = replay_plain(course)
    assert replay_rlru(course, 1, plain).misses == replay_renewals(course, Oracle, plain).misses


@given(KEYS, st.sampled_from([0.0, 0.3]))
def test_what_every_policy_reports_adds_up(keys, warmup):
    course = course_of_keys(keys, warmup)
    for replayed in every_replay(course):
        assert replayed.compulsory <= replayed.misses <= replayed.reads
        assert 0 <= replayed.wasted <= replayed.refreshes
        assert replayed.compulsory == replay_plain(course).compulsory
        assert replayed.peak_concurrency >= (replayed.misses > 0)


@given(KEYS)
def test_a_refresh_that_is_of_use_saves_a_miss_of_the_policies_that_renew_at_expiry(keys):
    course = course_of_keys(keys)
    plain = replay_plain(course)
    for replayed in (replay_all(course, plain), replay_rlru(course, 2, plain), replay_rlfu(course, 0.5, plain)):
        useful = replayed.refreshes - replayed.wasted
        assert replayed.misses + useful >= plain.misses


@given(KEYS)
def test_renewing_everything_misses_first_reads_only(keys):
    course = course_of_keys(keys)
    everything = replay_all(course, replay_plain(course))
    assert everything.misses == everything.compulsory == len(keys)


@pytest.mark.parametrize("trace", [poisson(0.02, 60, 20_000), zipf(200, 12_000, 20_000)], ids=lambda trace: trace.name)
@pytest.mark.parametrize("extra", [0.05, 0.25, 0.5])
def test_who_knows_the_future_is_never_beaten(trace, extra):
    course = reads_by_key_of(trace, 60.0, 0.2)
    plain = replay_plain(course)
    removed = {name: sweep.frontier(course, plain, [extra]).at(extra).removed for name, sweep in SWEPT.items()}
    assert removed["clairvoyant"] == max(removed.values())
    assert removed["clairvoyant"] > removed["rlfu"] > 0


# --- one after the other ---------------------------------------------------------------------------------------
def test_a_value_is_not_served_at_the_end_of_its_ttl():
    assert replay_plain(course_of_keys([[0, 9, 10, 19, 20]])).misses == 3


def test_reads_of_one_moment_share_one_computation():
    course = reads_by_key_of(Trace("crowd", [0.0, 50.0], [0, 0], [100, 100]), TTL_S, 0.0)
    assert (replay_plain(course).misses, replay_plain(course).reads) == (2, 200)


def test_r_lru_renews_as_often_after_the_latest_read_as_it_has_credits():
    course = course_of_keys([[0, 25, 200]])
    replayed = replay_rlru(course, 2, replay_plain(course))
    assert (replayed.misses, replayed.refreshes, replayed.wasted) == (2, 4, 3)


def test_r_lfu_saves_what_reads_have_earned():
    course = reads_by_key_of(Trace("hot, then idle", [0.0, 35.0, 60.0], [0, 0, 0], [8, 1, 1]), TTL_S, 0.0)
    replayed = replay_rlfu(course, 0.5, replay_plain(course))
    assert (replayed.misses, replayed.refreshes, replayed.wasted) == (2, 4, 3)


def test_r_lfu_does_not_earn_without_bound():
    course = reads_by_key_of(Trace("very hot, then idle", [0.0, 10_000.0], [0, 0], [100_000, 1]), TTL_S, 0.0)
    assert replay_rlfu(course, 1, replay_plain(course)).refreshes == 20


def test_xfetch_refreshes_only_when_read_and_the_reader_does_not_wait():
    course = course_of_keys([[0, 9, 12], [0, 100]])
    eager = replay_xfetch(course, 1e9, replay_plain(course))
    assert (eager.misses, eager.refreshes, eager.wasted) == (3, 2, 1)
    lazy = replay_xfetch(course, 1e-9, replay_plain(course))
    assert (lazy.misses, lazy.refreshes) == (replay_plain(course).misses, 0)


def test_tiers_refresh_by_the_reads_of_the_last_hour_whatever_the_ttl():
    busy = Trace("busy", [float(second) for second in range(0, 7200 * 3, 20)], [0] * 1080, [1] * 1080)
    course = reads_by_key_of(busy, 900.0, 0.5)
    replayed = replay_tiers(course, replay_plain(course))
    assert (replayed.misses, replayed.refreshes, replayed.wasted) == (0, 12, 0)


def test_the_clairvoyant_buys_only_what_its_patience_allows():
    course = course_of_keys([[0, 12, 49, 100]])
    refreshes = {patience: replay_clairvoyant(course, patience, replay_plain(course)) for patience in (0.5, 3, 100)}
    assert [replayed.refreshes for replayed in refreshes.values()] == [1, 4, 10]
    assert [replayed.misses for replayed in refreshes.values()] == [3, 2, 1]


def test_what_comes_before_the_end_of_the_warm_up_is_learnt_from_and_not_counted():
    course = course_of_keys([[0, 95, 100, 200], [150, 200]], warmup=0.5)
    plain = replay_plain(course)
    assert (plain.reads, plain.misses, plain.compulsory) == (4, 3, 1)
    assert replay_all(course, plain).refreshes == 10 + 5 + 1


def test_compute_seconds_are_what_the_keys_cost_at_the_time():
    course = reads_by_key_of(Trace("costs", [0.0, 15.0, 100.0], [0, 0, 0], [1, 1, 1], [2.0, 3.0, 5.0]), TTL_S, 0.0)
    plain = replay_plain(course)
    assert plain.compute_s == 10.0
    renewed = replay_rlru(course, 1, plain)
    assert renewed.compute_s == 2.0 + 2.0 + 3.0 + 5.0
    assert renewed.compute_s_ratio == pytest.approx(1.2)


def test_the_peak_counts_what_is_under_way_in_the_same_second():
    times_s, keys = [0.0, 0.0, 1.0, 2.5], [0, 1, 2, 3]
    slow = Trace("slow", times_s, keys, [1] * 4, [2.0, 1.0, 2.0, 0.1])
    assert replay_plain(reads_by_key_of(slow, TTL_S, 0.0)).peak_concurrency == 2
    unknown = Trace("unknown", times_s, keys, [1] * 4)
    assert replay_plain(reads_by_key_of(unknown, TTL_S, 0.0)).peak_concurrency == 2


def test_the_peak_of_renewing_everything_is_found_at_its_end():
    trace = poisson(0.01, 80, 3000)
    course = reads_by_key_of(trace, 60.0, 0.2)
    plain = replay_plain(course)
    assert replay_all(course, plain).peak_concurrency == replay_rlru(course, 10**6, plain).peak_concurrency
