"""What the demo's users look at, and how that changes."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import pytest

from warmer_demo.popularity import FALL_OFF, FRONT_PAGE_SHARE, SHIFT_EVERY_S, SHIFT_PLACES, pick, ranking, weights

FRONT_PAGE = ["front-1", "front-2"]
REPORTS = [f"report-{number:02}" for number in range(13)]


def test_every_report_has_one_place() -> None:
    for elapsed_s in (0.0, SHIFT_EVERY_S, 1000.0):
        assert sorted(ranking(REPORTS, elapsed_s)) == REPORTS


def test_the_ranking_is_the_same_for_all_users_in_whatever_order_they_know_the_reports() -> None:
    assert ranking(REPORTS, 5.0) == ranking(REPORTS[::-1], 5.0)


def test_the_ranking_stands_between_two_shifts() -> None:
    assert ranking(REPORTS, 0.0) == ranking(REPORTS, SHIFT_EVERY_S - 0.001)


def test_a_shift_sends_the_favourites_to_the_end_and_moves_the_others_up() -> None:
    before, after = ranking(REPORTS, 0.0), ranking(REPORTS, SHIFT_EVERY_S)
    assert after == before[SHIFT_PLACES:] + before[:SHIFT_PLACES]


def test_every_report_is_the_favourite_at_some_time() -> None:
    favourites = {ranking(REPORTS, shift * SHIFT_EVERY_S)[0] for shift in range(len(REPORTS))}
    assert favourites == set(REPORTS)


def test_weights_fall_off_evenly_and_add_up_to_one() -> None:
    falling = weights(13)
    assert sum(falling) == pytest.approx(1.0)
    ratios = [less / more for more, less in pairwise(falling)]
    assert ratios == pytest.approx([FALL_OFF] * 12)


def test_picks_follow_the_weights() -> None:
    rng, picks = random.Random(7), 20_000
    counted = Counter(pick(FRONT_PAGE, REPORTS, 0.0, rng) for _ in range(picks))
    favourite, second = ranking(REPORTS, 0.0)[:2]
    assert sum(counted[name] for name in FRONT_PAGE) / picks == pytest.approx(FRONT_PAGE_SHARE, abs=0.02)
    assert counted[favourite] / picks == pytest.approx((1 - FRONT_PAGE_SHARE) * weights(13)[0], abs=0.02)
    assert counted[second] / counted[favourite] == pytest.approx(FALL_OFF, abs=0.05)
