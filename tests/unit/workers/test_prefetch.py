"""Prefetch: how many claimed targets wait in a worker for a free thread."""

from warmer_workers.prefetch import Prefetch


def test_nothing_is_claimed_ahead_of_long_computations():
    prefetch = Prefetch(threads=8)
    prefetch.learn([0.2] * 8)
    assert (prefetch.wanted(8), prefetch.wanted(7), prefetch.low_water) == (0, 1, 0)


def test_short_computations_are_forgotten_when_no_thread_becomes_free():
    prefetch = Prefetch(threads=8)
    prefetch.learn([0.001] * 8)
    assert prefetch.wanted(8) == 240
    prefetch.forget()
    assert (prefetch.wanted(8), prefetch.wanted(5), prefetch.low_water) == (0, 3, 0)
    prefetch.learn([0.01] * 8)
    assert prefetch.wanted(8) == 24
