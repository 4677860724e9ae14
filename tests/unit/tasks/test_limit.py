"""Limits, as they are configured."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer import Limit, Settings, SettingsError

LIMITS = st.builds(
    Limit,
    concurrency=st.integers(1, 1_000_000),
    rate_per_s=st.none() | st.floats(1e-6, 1e6),
    reserved=st.floats(0, 0.9),
)
NAMES = st.text("abcXYZ019_.:-", min_size=1, max_size=64)


@given(st.dictionaries(NAMES, LIMITS))
def test_what_is_written_is_read_back(limits):
    text = b"{" + b",".join(orjson.dumps(name) + b":" + limit.to_json() for name, limit in limits.items()) + b"}"
    assert Settings.load(limits=text).limits == limits == Settings.load(limits=limits).limits


def test_limits_are_read_from_a_variable_and_keywords_win(monkeypatch):
    monkeypatch.setenv("WARMER_LIMITS", '{"pg-main": {"concurrency": 4}}')
    assert Settings.load().limits == {"pg-main": Limit(concurrency=4)}
    assert Settings.load(limits={"api": Limit(rate_per_s=2)}).limits == {"api": Limit(rate_per_s=2)}
    assert Settings.load(limits={"api": {"rate_per_s": 2}}).limits == {"api": Limit(rate_per_s=2)}


@pytest.mark.parametrize("text", ["", "{}"])
def test_no_limits_are_no_limits(monkeypatch, text):
    assert Settings.load().limits == {}
    monkeypatch.setenv("WARMER_LIMITS", text)
    assert Settings.load().limits == {}


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"pg main": {"concurrency": 4}}, "1 to 64 letters, digits.*not 'pg main'"),
        ({"": {"concurrency": 4}}, "not ''"),
        ({"x" * 65: {"concurrency": 4}}, "1 to 64"),
        ({"pg\n": {"concurrency": 4}}, "1 to 64"),
        ({5: {"concurrency": 4}}, "not 5"),
        ({"pg": {"concurrency": 0}}, "'pg': .*concurrency: .*greater than or equal to 1, got 0"),
        ({"pg": {"rate_per_s": 0}}, "'pg': .*rate_per_s: .*greater than 0"),
        ({"pg": {"rate_per_s": float("inf")}}, "rate_per_s: .*got inf"),
        ({"pg": {"concurrency": 4, "reserved": 0.95}}, "reserved: .*less than or equal to 0.9"),
        ({"pg": {"concurrency": 4, "reserve": 0.5}}, "reserve: Extra inputs"),
        ({"pg": {"reserved": 0.5}}, "'pg': .*a concurrency, a rate_per_s or both, got neither"),
        ({"pg": 4}, "'pg': .*got 4"),
        ([], "limits by name"),
        (0, "limits by name"),
        ('{"pg"', "expected JSON such as"),
    ],
)
def test_a_bad_limit_is_refused_by_its_name_and_its_variable(limits, words):
    with pytest.raises(SettingsError, match=f"WARMER_LIMITS: .*{words}"):
        Settings.load(limits=limits)


def test_a_bad_limit_is_refused_where_it_is_made():
    with pytest.raises(SettingsError, match=r"limit refused: concurrency: .*got 0"):
        Limit(concurrency=0)
    with pytest.raises(SettingsError, match="got neither"):
        Limit()
