"""Settings, and what their errors give away."""

import pytest

from warmer import Settings, SettingsError, Warmer, WarmingTask
from warmer.errors import described, redacted


def test_variables_are_read_and_keywords_win(monkeypatch):
    monkeypatch.setenv("WARMER_REDIS_URL", "redis://one/0")
    monkeypatch.setenv("WARMER_TICK_S", "0.5")
    assert Settings.load().redis_url == "redis://one/0"
    assert Settings.load(tick_s=2).tick_s == 2


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"tick_s": 0}, "WARMER_TICK_S"),
        ({"namespace": "no spaces"}, "WARMER_NAMESPACE"),
        ({"concurrency": "many"}, "WARMER_CONCURRENCY"),
        ({"redis_ulr": "redis://x"}, "WARMER_REDIS_ULR"),
    ],
)
def test_bad_settings_name_their_variable(values, words):
    with pytest.raises(SettingsError, match=words):
        Settings.load(**values)


def test_nothing_guesses_a_server(monkeypatch):
    monkeypatch.delenv("WARMER_REDIS_URL", raising=False)
    with pytest.raises(SettingsError, match="WARMER_REDIS_URL"):
        Warmer(Settings.load()).register(WarmingTask(task_id="t", cache_key="k", compute_fn="json:loads"))


def test_a_bad_address_is_refused_without_its_password():
    with pytest.raises(SettingsError) as refused:
        _ = Warmer(Settings.load(redis_url="rediss:/user:s3cret@x")).store
    assert "s3cret" not in str(refused.value)
    with pytest.raises(SettingsError, match="begins with 'http'") as refused:
        _ = Warmer(Settings.load(redis_url="http://user:s3/cr@et@host")).store
    assert not {"s3", "cr", "et@"} & set(str(refused.value).replace("/", " ").split())


def test_credentials_are_masked_wherever_an_url_stands():
    assert redacted("a redis://u:p@h:1/0 b postgresql://x:y@z/db") == "a redis://***@h:1/0 b postgresql://***@z/db"
    assert redacted("redis://:p@ss/word@db:6379/0") == "redis://***@db:6379/0"
    assert described(ValueError("rediss://:pw@h")) == "ValueError: rediss://***@h"
    assert len(described(ValueError("x" * 10_000))) == 500
