"""Statistics follow from counters."""

from warmer.stats.ledger import percentiles, performance_of


def test_efficiency_is_zero_while_nothing_was_judged():
    performance = performance_of({"warmings": 9, "total_ms": 90}, [10.0])
    assert performance.efficiency_score == 0.0
    assert performance.judged == 0
    assert performance.avg_duration_ms == 10.0


def test_efficiency_is_the_useful_share_of_what_was_judged():
    performance = performance_of({"useful": 1, "wasted": 3, "hits": 9, "misses": 1}, [])
    assert performance.efficiency_score == 25.0
    assert performance.judged == 4
    assert performance.hit_ratio == 0.9


def test_percentiles():
    assert percentiles([]) == (0.0, 0.0, 0.0)
    assert percentiles([float(n) for n in range(101)]) == (50.0, 95.0, 99.0)
