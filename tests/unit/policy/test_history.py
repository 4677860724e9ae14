"""A history equals the sums over all reads of its target."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.errors import PolicyStateError
from warmer.policy.history import (
    ANSWERED,
    EPOCH_S,
    HISTORY_BYTES,
    LAPSED,
    OPEN,
    History,
    gap_ttls,
    packed_cost,
    packed_gap,
    unpacked_cost_s,
)

START_S = EPOCH_S + 1e8

batches = st.lists(st.tuples(st.integers(0, 500), st.integers(1, 50)), min_size=1, max_size=40)
ttls = st.sampled_from([1.0, 7.0, 60.0, 300.0])


def at(steps):
    """Turn gaps into ascending moments."""
    moments, now = [], START_S
    for gap, reads in steps:
        now += gap
        moments.append((now, reads))
    return moments


def decayed(events, now, time_constant):
    return sum(n * math.exp(-(now - t) / time_constant) for t, n in events)


def sessions(reads, ttl_s):
    last, found = 0.0, []
    for t, _ in reads:
        if t - last > ttl_s / 8:
            found.append((t, 1))
        last = t
    return found


@given(batches, ttls)
def test_the_counts_equal_the_sums_over_all_reads(steps, ttl_s):
    reads, history = at(steps), History()
    for t, n in reads:
        history.read(t, n, ttl_s)
    now = reads[-1][0]
    assert history.last_s == now
    assert math.isclose(history.reads_4, decayed(reads, now, 4 * ttl_s), rel_tol=1e-9)
    assert math.isclose(history.reads_16, decayed(reads, now, 16 * ttl_s), rel_tol=1e-9)
    begun = sessions(reads, ttl_s)
    assert math.isclose(history.sessions_64, decayed(begun, now, 64 * ttl_s), rel_tol=1e-9)
    assert math.isclose(history.sessions_1024, decayed(begun, now, 1024 * ttl_s), rel_tol=1e-9)


@given(batches, ttls)
def test_the_baseline_misses_what_a_plain_ttl_cache_misses(steps, ttl_s):
    history, cached_until, expected, seen = History(), 0.0, [], []
    for t, n in at(steps):
        expected.append(t >= cached_until)
        if t >= cached_until:
            cached_until = t + ttl_s
        seen.append(history.read(t, n, ttl_s))
    assert seen == expected


@given(batches, st.integers(0, 39))
def test_the_reads_of_a_value_are_counted_from_its_publication(steps, published_before):
    history = History()
    reads = at(steps)
    for index, (t, n) in enumerate(reads):
        if index == published_before:
            history.published(t + 60, 0.1)
        history.read(t, n, 60.0)
    since = reads[published_before:] if published_before < len(reads) else reads
    assert history.value_reads == min(sum(n for _, n in since), 255)


@pytest.mark.parametrize(("after_s", "answered"), [(-1.0, False), (0.0, True), (59.999, True), (60.0, False)])
def test_a_decision_is_answered_by_a_read_within_one_ttl(after_s, answered):
    history = History()
    history.decided_s, history.flags = START_S, OPEN
    history.read(START_S + after_s, 1, 60.0)
    assert bool(history.flags & ANSWERED) == answered


def test_a_decision_that_was_learnt_from_is_not_answered():
    history = History()
    history.decided_s = START_S
    history.read(START_S + 1, 1, 60.0)
    assert history.flags == 0


@given(batches, ttls)
def test_the_gap_is_the_one_before_the_latest_session(steps, ttl_s):
    reads, history = at(steps), History()
    for t, n in reads:
        history.read(t, n, ttl_s)
    begun = [t for t, _ in sessions(reads, ttl_s)]
    before = [t for t, _ in reads if t < begun[-1]]
    expected = packed_gap((begun[-1] - before[-1]) / ttl_s) if before else 0
    assert history.gap == expected


@given(st.floats(0.126, 7000))
def test_a_gap_is_packed_to_five_percent(ttls):
    assert gap_ttls(packed_gap(ttls)) <= ttls * 1.000001
    assert ttls <= gap_ttls(packed_gap(ttls)) * 1.05


def test_a_read_that_arrives_out_of_order_counts_at_the_latest_known_time():
    history = History()
    history.read(START_S, 1, 60.0)
    history.read(START_S - 5, 2, 60.0)
    assert (history.last_s, history.reads_4) == (START_S, 3.0)


@given(batches, st.floats(0, 4000), st.binary(min_size=6, max_size=6))
def test_a_history_survives_packing_to_its_precision(steps, cost_s, decision):
    history = History()
    for t, n in at(steps):
        history.read(t, n, 60.0)
    history.published(history.last_s + 60.0004, cost_s)
    history.decided_s, history.flags, history.decision = START_S, OPEN | LAPSED, decision
    again = History.unpack(history.pack())
    assert again.pack() == history.pack()
    assert again.last_s == history.last_s
    assert abs(again.fresh_until_s - history.fresh_until_s) <= 0.0006
    assert math.isclose(again.reads_16, history.reads_16, rel_tol=1e-6)
    assert (again.flags, again.gap, again.decision) == (history.flags, history.gap, decision)
    assert math.isclose(again.cost_s, cost_s, rel_tol=2e-4, abs_tol=1e-6)


@given(st.integers(0, 0xFFFF))
def test_packing_a_cost_twice_changes_nothing(packed):
    assert packed_cost(unpacked_cost_s(packed)) == packed


def test_an_empty_history_survives_packing():
    again = History.unpack(History().pack())
    assert (again.last_s, again.decided_s, again.fresh_until_s) == (0.0, 0.0, 0.0)


def test_other_bytes_are_refused():
    with pytest.raises(PolicyStateError, match=f"expected {HISTORY_BYTES} bytes"):
        History.unpack(b"short")
