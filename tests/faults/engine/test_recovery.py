"""Redis is unavailable, slow or full for a while: outages are logged once, and all is warm again afterwards."""

import logging
import time

import pytest

from tests.support.flow import claim, refs
from tests.support.runtimes import runtime_of, store_of
from warmer import StoreUnavailableError, WarmingTask


@pytest.fixture
def app(own_server, make_warmer):
    warmer = make_warmer(redis_url=own_server.url)
    warmer.register(WarmingTask(task_id="t", cache_key="k", compute_fn=lambda: "value"))
    return warmer


@pytest.fixture
def away(app, own_server):
    own_server.kill()
    return app


def test_reads_are_warm_again_once_redis_is_back(app, own_server, eventually):
    own_server.restart_empty()
    eventually(lambda: runtime_of(app).background.tick())
    assert app.stats()["tasks"] == 1, "the task was registered again"
    assert app.get_or_compute("k", lambda: "value", ttl=60) == "value"
    assert app.get("k") == "value"


def test_one_beat_and_one_tick_after_it_was_emptied_everything_is_ready_again(app, own_server, make_warmer):
    app.start()
    own_server.restart_empty()
    runtime_of(app).background.stop()
    assert runtime_of(app).background.tick()
    assert store_of(app).switch.get().on, "the switch is as it was"
    store_of(app).refreshes.tick()
    assert refs(claim(store_of(app), 5)) == ["t"]
    assert min(app.settings.flush_s, app.settings.tick_s) == app.settings.tick_s


def test_a_registration_that_fails_on_the_way_back_is_tried_again(app, own_server, monkeypatch):
    from redis.exceptions import TimeoutError as RedisTimeoutError

    app.register(WarmingTask(task_id="u", cache_key="u", compute_fn=lambda: 1))
    runtime_of(app).background.stop()
    own_server.restart_empty()
    register, failed = store_of(app).tasks.register, []

    def time_out_once(task, replace):
        if task.task_id == "u" and not failed:
            failed.append(task)
            raise RedisTimeoutError("too slow")
        return register(task, replace)

    monkeypatch.setattr(store_of(app).tasks, "register", time_out_once)
    assert runtime_of(app).background.tick() is False
    assert runtime_of(app).background.tick() is True
    assert set(store_of(app).tasks.definitions()) == {"t", "u"}


def test_an_error_that_cannot_be_written_down_stops_nothing(app):
    def fail() -> None:
        raise ValueError("lone surrogate: \ud800")

    for _ in range(2):
        with pytest.raises(ValueError, match="lone surrogate"):
            app.get_or_compute("k", fail)
    assert runtime_of(app).background.tick() is True
    assert app.performance()["failed"] == 2
    assert app.warm_cache("k2", fail) is False
    assert app.warm_critical_data()["failed"] == 0


def test_an_outage_is_logged_once_and_its_end_too(app, own_server, caplog):
    runtime_of(app).background.tick()
    own_server.kill()
    with caplog.at_level(logging.WARNING, logger="warmer.background"):
        for _ in range(3):
            runtime_of(app).background.tick()
        own_server.restart_empty()
        runtime_of(app).background.tick()
    said = [record.getMessage() for record in caplog.records if "Redis is" in record.getMessage()]
    assert sum("away" in line for line in said) == 1
    assert sum("back" in line for line in said) == 1


def test_a_stalled_redis_holds_a_read_no_longer_than_its_budget(make_warmer, own_server):
    app = make_warmer(redis_url=own_server.url, read_timeout_s=0.2)
    app.get("k")
    store_of(app).control.client_pause(3000)
    started = time.monotonic()
    assert app.get("k", "default") == "default"
    assert time.monotonic() - started < 1.5


def test_after_a_failure_reads_do_without_redis_until_it_is_back(app, own_server, monkeypatch, caplog, eventually):
    from warmer.wire.pool import Pool

    app.get("k")
    asked = []
    get = Pool.get
    monkeypatch.setattr(Pool, "get", lambda pool, key, began_s: asked.append(key) or get(pool, key, began_s))
    own_server.kill()
    for _ in range(50):
        assert app.get("k", "default") == "default"
        assert app.get_or_compute("k", lambda: "computed", ttl=60) == "computed"
    assert len(asked) == 1
    assert sum("reads go on without it" in record.getMessage() for record in caplog.records) == 1
    own_server.restart_empty()
    runtime_of(app).background.tick()
    eventually(lambda: app.get_or_compute("other", lambda: "cached", ttl=60) == app.get("other") == "cached")


def test_a_full_redis_refuses_writes_and_keeps_serving(make_warmer, own_server):
    app = make_warmer(redis_url=own_server.url)
    assert app.warm_cache("k", lambda: "value")
    store_of(app).control.config_set("maxmemory", 1)
    assert app.get("k") == "value"
    assert app.get_or_compute("other", lambda: "computed", ttl=60) == "computed"
    with pytest.raises(StoreUnavailableError, match="accepts writes"):
        app.warm_cache("k", lambda: "new", force=True)
    store_of(app).control.config_set("maxmemory", 0)
    assert app.warm_cache("k", lambda: "new", force=True)
