"""Results are models that also read like the documented dicts; figures follow from counters."""

import pytest

from warmer.results import UserWarming


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
