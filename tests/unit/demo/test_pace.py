"""What comes round in the demo's loop."""

from __future__ import annotations

from warmer_demo.pace import Every


class Watch:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_it_comes_after_an_interval_and_then_once_per_interval() -> None:
    watch = Watch()
    every = Every(5.0, watch)
    came = []
    for watch.now_s in (100.0, 104.9, 105.0, 105.1, 109.9, 110.0):
        came.append(every.has_come())
    assert came == [False, False, True, False, False, True]


def test_intervals_that_were_overslept_are_not_made_up_for() -> None:
    watch = Watch()
    every = Every(5.0, watch)
    watch.now_s = 131.0
    assert [every.has_come(), every.has_come()] == [True, False]
