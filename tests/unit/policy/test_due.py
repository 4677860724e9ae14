"""Due times, retry backoff and jitter: closed forms and properties."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer import WarmingTask
from warmer.policy import (
    heat_reads_per_s,
    is_kept_warm,
    is_reviewed,
    jittered_ttl_s,
    lead_s,
    next_cron_s,
    next_due_s,
    retry_delay_s,
)
from warmer.tasks.switch import Switch

ON = Switch(on=True)
LEAD_S = 2.0


def task(**values: object) -> WarmingTask:
    return WarmingTask(**{"task_id": "t", "cache_key": "k", "compute_fn": "m:f", "ttl": 100, **values})


def test_critical_is_due_a_lead_before_it_expires():
    assert next_due_s(task(critical=True), ON, LEAD_S, computed_at_s=1000, fresh_until_s=1100) == 1098


def test_an_interval_brings_critical_forward_but_never_back():
    every_30_s = Switch(on=True, interval_s=30)
    assert next_due_s(task(critical=True), every_30_s, LEAD_S, 1000, 1100) == 1030
    every_hour = Switch(on=True, interval_s=3600)
    assert next_due_s(task(critical=True), every_hour, LEAD_S, 1000, 1100) == 1098


def test_a_cron_line_brings_forward_but_never_back():
    at_noon = datetime(2026, 1, 1, 12, 0, tzinfo=UTC).timestamp()
    long_lived = task(critical=True, ttl=86_400, cron="0 12 * * *")
    patient = Switch(on=True, interval_s=1e6)
    assert next_due_s(long_lived, patient, LEAD_S, at_noon - 60, at_noon + 80_000) == at_noon
    short_lived = task(critical=True, cron="0 12 * * *")
    assert next_due_s(short_lived, patient, LEAD_S, at_noon - 600, at_noon - 500) == at_noon - 502


def test_others_are_reviewed_a_lead_before_they_expire():
    assert is_reviewed(task(), ON)
    assert next_due_s(task(), ON, LEAD_S, 1000, 1100) == 1098


@pytest.mark.parametrize(
    ("values", "switch", "is_kept"),
    [
        ({"critical": True}, ON, True),
        ({"priority": 50}, ON, True),
        ({"priority": 49}, ON, False),
        ({"critical": True, "enabled": False}, ON, False),
        ({"critical": True}, Switch(on=True, critical=False), False),
        ({"critical": True, "cache_key": "user:{user_id}"}, ON, False),
    ],
)
def test_what_is_critical_needs_no_reads(values, switch, is_kept):
    assert is_kept_warm(task(**values), switch) is is_kept


def test_pattern_warming_can_be_switched_off():
    critical_only = Switch(on=True, pattern=False)
    assert not is_reviewed(task(), critical_only)
    assert next_due_s(task(), critical_only, LEAD_S, 1000, 1100) is None
    assert next_due_s(task(critical=True), critical_only, LEAD_S, 1000, 1100) == 1098


def test_a_disabled_task_is_neither_kept_nor_reviewed():
    assert not is_kept_warm(task(critical=True, enabled=False), ON)
    assert not is_reviewed(task(critical=True, enabled=False), ON)


@given(st.floats(0, 1e4), st.floats(0, 1e4), st.floats(0.01, 60), st.floats(0.1, 1e6))
def test_a_lead_never_takes_more_than_half_the_ttl(compute, wait, tick, ttl):
    assert 0 < lead_s(compute, wait, tick, ttl) <= ttl / 2


@given(st.integers(1, 1000), st.floats(0, 1))
def test_retries_back_off_within_their_bounds(failures, random_unit):
    longest = min(2.0 ** min(failures - 1, 30), 300.0)
    assert longest / 2 <= retry_delay_s(failures, random_unit) <= longest


@given(st.integers(0, 4_000_000_000), st.sampled_from(["* * * * *", "*/7 3 * * MON", "0 0 29 2 *", "30 2 * * *"]))
def test_the_next_cron_moment_lies_ahead(after, line):
    assert next_cron_s(line, "Europe/Berlin", after) > after


def test_cron_lines_are_read_in_their_own_zone():
    winter = datetime(2026, 1, 15, 0, 0, tzinfo=UTC).timestamp()
    summer = datetime(2026, 7, 15, 0, 0, tzinfo=UTC).timestamp()
    assert next_cron_s("0 6 * * *", "Europe/Berlin", winter) == winter + 5 * 3600
    assert next_cron_s("0 6 * * *", "Europe/Berlin", summer) == summer + 4 * 3600


@given(st.floats(0.001, 100), st.floats(10, 1e5))
def test_heat_of_a_steady_rate_is_that_rate(rate, half_life):
    step = half_life / 1000
    heat = sum(rate * step * 2 ** (-n * step / half_life) for n in range(20_000))
    assert heat_reads_per_s(heat, half_life) == pytest.approx(rate, rel=0.01)


@given(st.floats(0.001, 3e8), st.floats(0, 0.5), st.text(max_size=30).filter(lambda key: key.isprintable()))
def test_jitter_only_ever_shortens_a_ttl_and_never_by_more_than_its_part(ttl, jitter, key):
    assert (1 - jitter) * ttl <= jittered_ttl_s(ttl, jitter, key) <= ttl
    assert jittered_ttl_s(ttl, jitter, key) == jittered_ttl_s(ttl, jitter, key)


def test_what_was_computed_together_expires_spread_over_the_whole_jitter():
    ends = sorted(jittered_ttl_s(100.0, 0.2, f"user:{n}") for n in range(1000))
    assert ends[0] < 80.5
    assert ends[-1] > 99.5
    assert max(later - earlier for earlier, later in pairwise(ends)) < 1.0
