"""Daily and weekly peaks are predicted, and unknown hours change nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.errors import PolicyStateError
from warmer.policy.season import Season

MONDAY_S = 1_704_067_200.0
HOUR_S, DAY_S = 3600.0, 86400.0


def seen(days, reads_in, first_day=0, every_s=600):
    season = Season()
    for step in range(int(days * DAY_S / every_s) + 1):
        at_s = MONDAY_S + first_day * DAY_S + step * every_s
        season.observe(at_s, reads_in(at_s - every_s / 2))
    return season


def at_nine(at_s):
    return 100 if at_s % DAY_S // HOUR_S == 9 else 10


def test_nothing_is_predicted_before_a_whole_day_is_known():
    season = seen(0.9, at_nine)
    assert season.multiplier(MONDAY_S + DAY_S + 9 * HOUR_S, 600.0) == 1.0


def test_the_peak_of_yesterday_is_predicted_today():
    season = seen(1.2, at_nine)
    mean = (100 + 23 * 10) / 24
    assert season.multiplier(MONDAY_S + DAY_S + 9 * HOUR_S, 600.0) == pytest.approx(100 / mean, rel=0.02)
    assert season.multiplier(MONDAY_S + DAY_S + 8.5 * HOUR_S, HOUR_S) == pytest.approx(55 / mean, rel=0.05)
    assert season.multiplier(MONDAY_S + DAY_S + 12 * HOUR_S, 600.0) == pytest.approx(10 / mean, rel=0.02)


def test_weekends_have_their_own_hours():
    season = seen(14, lambda at_s: at_nine(at_s) if (at_s - MONDAY_S) // DAY_S % 7 < 5 else 1)
    saturday_nine, monday_nine = MONDAY_S + 19 * DAY_S + 9 * HOUR_S, MONDAY_S + 14 * DAY_S + 9 * HOUR_S
    assert season.multiplier(saturday_nine, 600.0) < 0.2
    assert season.multiplier(monday_nine, 600.0) > 5.0


def test_a_weekend_counts_as_a_weekday_until_it_is_known():
    season = seen(4.5, at_nine)
    assert season.multiplier(MONDAY_S + 5 * DAY_S + 9 * HOUR_S, 600.0) > 5.0


def test_a_new_pattern_replaces_the_old_one_within_weeks():
    def moved(at_s):
        peak = 9 if at_s < MONDAY_S + 14 * DAY_S else 15
        return 100 if at_s % DAY_S // HOUR_S == peak else 10

    season = seen(35, moved, every_s=1200)
    assert season.multiplier(MONDAY_S + 35 * DAY_S + 15 * HOUR_S, 600.0) > 5.0
    assert season.multiplier(MONDAY_S + 35 * DAY_S + 9 * HOUR_S, 600.0) < 1.0


def test_an_hour_that_was_not_observed_is_not_a_quiet_one():
    season = Season()
    for day in range(5):
        for step in range(144):
            at_s = MONDAY_S + day * DAY_S + 600 * step
            if day == 0 or not 8 <= step // 6 < 16:  # away from 8:00 to 16:00 on all days but the first
                season.observe(at_s, 10)
    assert season.multiplier(MONDAY_S + 5 * DAY_S + 12 * HOUR_S, 600.0) == pytest.approx(1.0, abs=0.1)


@given(st.floats(60, 6 * DAY_S), st.floats(0, 7 * DAY_S))
def test_a_steady_load_has_no_season(horizon_s, later_s):
    assert STEADY.multiplier(MONDAY_S + 7 * DAY_S + later_s, horizon_s) == pytest.approx(1.0, abs=0.03)


STEADY = seen(7, lambda at_s: 10)


def test_a_season_comes_back_from_its_bytes():
    season = seen(3, at_nine)
    again = Season.from_bytes(season.to_bytes())
    at_s = MONDAY_S + 3 * DAY_S + 9 * HOUR_S
    assert again.multiplier(at_s, 600.0) == pytest.approx(season.multiplier(at_s, 600.0), rel=1e-5)
    assert again.to_bytes() == season.to_bytes()


def test_other_bytes_are_refused():
    with pytest.raises(PolicyStateError, match="bytes of a season, got 3"):
        Season.from_bytes(b"abc")
