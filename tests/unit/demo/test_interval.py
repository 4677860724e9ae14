"""When an action of the demo's loop is due."""

from __future__ import annotations

from warmer_demo.interval import Interval


class ManualTime:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_it_is_due_after_an_interval_and_then_once_per_interval() -> None:
    clock = ManualTime()
    interval = Interval(5.0, clock)
    came = []
    for clock.now_s in (100.0, 104.9, 105.0, 105.1, 109.9, 110.0):
        came.append(interval.is_due())
    assert came == [False, False, True, False, False, True]


def test_missed_intervals_are_skipped() -> None:
    clock = ManualTime()
    interval = Interval(5.0, clock)
    clock.now_s = 131.0
    assert [interval.is_due(), interval.is_due()] == [True, False]
