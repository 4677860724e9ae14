"""Results are models that also read like the documented dicts; figures follow from counters."""

import pytest

from warmer.results import UserWarming
from warmer.stats.ledger import percentiles, performance_of
from warmer.tasks.switch import Switch
from warmer_scheduler.periodic_jobs import periodic_jobs


def test_results_read_like_dicts():
    result = UserWarming(user_id="42", requested=["a"], skipped=[])
    assert result["user_id"] == result.user_id == result.get("user_id") == "42"
    assert result.get("nothing", "default") == "default"
    assert "requested" in result
    assert "nothing" not in result
    assert dict(result) == {"user_id": "42", "requested": ["a"], "skipped": []}
    assert list(result) == ["user_id", "requested", "skipped"]
    assert len(result) == 3
    assert dict(result.items()) == dict(zip(result.keys(), result.values(), strict=True))
    with pytest.raises(KeyError):
        result["model_config"]


def test_a_result_without_entries_is_still_true():
    assert UserWarming(user_id="42", requested=[], skipped=[])


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


def test_periodic_jobs_follow_the_switch():
    assert periodic_jobs("n", Switch()) == []
    assert periodic_jobs("n", Switch(on=True, pattern=False)) == []
    assert [job.job_id for job in periodic_jobs("n", Switch(on=True))] == ["n-optimize"]
