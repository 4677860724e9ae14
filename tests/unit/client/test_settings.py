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


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"redis_url": "http://h"}, "WARMER_REDIS_URL: .* begins with 'http'"),
        ({"cache_url": "redis+sentinel://h"}, "WARMER_CACHE_URL: .* name of a service"),
        ({"redis_url": "redis+cluster://h"}, "WARMER_CACHE_URL=redis\\+cluster"),
        ({"redis_url": 5}, "WARMER_REDIS_URL: Input should be a valid string"),
    ],
)
def test_addresses_are_refused_before_they_are_used(values, words):
    with pytest.raises(SettingsError, match=words):
        Settings.load(**values)


def test_values_may_be_on_a_cluster():
    settings = Settings.load(redis_url="redis+sentinel://h/main", cache_url="redis+cluster://h")
    assert settings.cache_url == "redis+cluster://h"


def test_an_empty_address_is_none(monkeypatch):
    monkeypatch.setenv("WARMER_CACHE_URL", "")
    assert Settings.load().cache_url is None


@pytest.mark.parametrize(
    "values",
    [
        {"redis_url": "http://u:s3cret@h"},
        {"redis_url": "redis://u:s3cret@h:port"},
        {"redis_url": "redis+cluster://u:s3cret@h"},
        {"cache_url": "redis://h?password=s3cret&colour=1"},
        {"pickle_key": "s3cret"},
        {"pickel_key": "s3cret"},
        {"redis_url": ["redis://h?password=s3cret"]},
    ],
)
def test_no_refusal_gives_secrets_away(values):
    with pytest.raises(SettingsError) as refused:
        Settings.load(**values)
    assert "s3cret" not in str(refused.value)
    with pytest.raises(ValueError, match="Settings") as refused:
        Settings(**values)
    assert "s3cret" not in str(refused.value)


def test_settings_are_shown_without_secrets():
    settings = Settings.load(
        redis_url="redis://u:s3cret@h/1", cache_url="redis+cluster://h?password=s3cret", pickle_key="s3cret" * 5
    )
    for shown in (repr(settings), str(settings)):
        assert "s3cret" not in shown
        assert "redis://***@h/1" in shown
    assert settings.pickle_key.get_secret_value() == "s3cret" * 5


def test_credentials_are_masked_wherever_an_url_stands():
    assert redacted("a redis://u:p@h:1/0 b postgresql://x:y@z/db") == "a redis://***@h:1/0 b postgresql://***@z/db"
    assert redacted("redis://:p@ss/word@db:6379/0") == "redis://***@db:6379/0"
    assert described(ValueError("rediss://:pw@h")) == "ValueError: rediss://***@h"
    assert len(described(ValueError("x" * 10_000))) == 500
