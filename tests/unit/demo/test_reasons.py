"""Why the demo's screen says that a dashboard is warmed, or is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from warmer_demo.reasons import chance, why
from warmer_demo.snapshot import State, Target

IDLE = Target(
    name="plane age",
    priority=0,
    is_critical=False,
    is_requested=False,
    ttl_s=10.0,
    reads_per_s=0.0,
    state="planned",
    fresh_for_s=None,
    compute_ms=None,
)
OFTEN, RARELY = 1.0, 0.01


def test_the_chance_is_that_of_a_read_within_one_ttl() -> None:
    assert chance(replace(IDLE, reads_per_s=0.1)) == pytest.approx(0.632, abs=0.001)
    assert chance(IDLE) == 0.0


def test_a_request_is_the_reason_before_all_others() -> None:
    assert why(replace(IDLE, is_requested=True, is_critical=True, reads_per_s=OFTEN), 0.5) == "on demand"


@pytest.mark.parametrize("reads_per_s", [0.0, RARELY, OFTEN])
def test_critical_is_critical_whatever_its_reads(reads_per_s: float) -> None:
    assert why(replace(IDLE, is_critical=True, reads_per_s=reads_per_s), 0.5) == "critical"


@pytest.mark.parametrize(
    ("reads_per_s", "state", "reason"),
    [
        (0.0, "planned", "new: warmed once"),
        (0.0, "computing", "new: warmed once"),
        (0.0, "expiring", "not read: expires"),
        (OFTEN, "planned", "read often"),
        (OFTEN, "waiting", "read often"),
        (OFTEN, "expiring", "read again: returns"),
        (RARELY, "planned", "rarely read: expires soon"),
        (RARELY, "expiring", "rarely read: expires"),
    ],
)
def test_others_live_by_their_reads(reads_per_s: float, state: State, reason: str) -> None:
    assert why(replace(IDLE, reads_per_s=reads_per_s, state=state), 0.5) == reason


def test_the_threshold_decides() -> None:
    target = replace(IDLE, reads_per_s=0.1)
    assert why(target, threshold=0.63) == "read often"
    assert why(target, threshold=0.64) == "rarely read: expires soon"
