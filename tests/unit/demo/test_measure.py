"""The demo's recorder of what users experience."""

from __future__ import annotations

import math
import random

import pytest

from warmer_demo.measure import BUCKET_RATIO, Experience, Latencies, Read


def recorded(*latencies_ms: float) -> Latencies:
    latencies = Latencies()
    for ms in latencies_ms:
        latencies.add(ms)
    return latencies


def test_nothing_recorded_is_zero() -> None:
    latencies = Latencies()
    assert (latencies.reads, latencies.percentile_ms(50), latencies.slowest_ms, latencies.waited_s) == (
        0,
        0.0,
        0.0,
        0.0,
    )


def test_a_single_read_is_every_percentile() -> None:
    latencies = recorded(42.0)
    assert [latencies.percentile_ms(percent) for percent in (0.1, 50, 99, 100)] == pytest.approx([42.0] * 4, rel=0.02)


@pytest.mark.parametrize("percent", [1, 50, 90, 99, 99.9, 100])
def test_percentiles_are_those_of_a_sorted_list_within_a_bucket(percent: float) -> None:
    luck = random.Random(7)
    values = [luck.lognormvariate(2, 2) for _ in range(5000)]
    exact = sorted(values)[math.ceil(percent / 100 * len(values)) - 1]
    found = recorded(*values).percentile_ms(percent)
    assert exact * 0.9999 <= found <= exact * BUCKET_RATIO * 1.0001


def test_one_slow_read_in_a_hundred_is_beyond_p99_and_two_are_not() -> None:
    assert recorded(*[1.0] * 99, 500.0).percentile_ms(99) < 2
    assert recorded(*[1.0] * 98, 500.0, 500.0).percentile_ms(99) == pytest.approx(500.0, rel=0.02)


def test_no_percentile_exceeds_the_slowest() -> None:
    latencies = recorded(1.0, 333.3)
    assert latencies.percentile_ms(100) == latencies.slowest_ms == 333.3


def test_reads_too_short_to_tell_apart_are_counted() -> None:
    latencies = recorded(0.0, 0.0, 0.0)
    assert latencies.reads == 3
    assert latencies.percentile_ms(99) == 0.0


def test_waiting_adds_up_in_seconds() -> None:
    assert recorded(250.0, 500.0, 250.0).waited_s == pytest.approx(1.0)


def test_memory_stays_small_however_many_reads_there_are() -> None:
    luck = random.Random(7)
    latencies = recorded(*(luck.uniform(0.05, 5000) for _ in range(20_000)))
    assert len(latencies._buckets) < 1000


def test_an_experience_counts_who_had_to_compute() -> None:
    users = Experience()
    for read in (Read("with", 0.5, False), Read("with", 80.0, True), Read("with", 0.5, False)):
        users.add(read)
    assert (users.latencies.reads, users.computations) == (3, 1)
