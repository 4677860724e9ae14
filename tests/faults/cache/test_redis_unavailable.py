"""Redis is away, or full: reads go on as computations, and everything else says so."""

import pytest

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


def test_reads_are_misses_and_computations(away):
    assert away.get("k", "default") == "default"
    assert away.get_or_compute("k", lambda: "computed", ttl=60) == "computed"


def test_what_a_computation_raises_is_still_raised(away):
    with pytest.raises(ZeroDivisionError):
        away.get_or_compute("k", lambda: 1 / 0, ttl=60)


@pytest.mark.parametrize(
    "ask",
    [
        lambda app: app.register(WarmingTask(task_id="u", cache_key="u", compute_fn=lambda: 1)),
        lambda app: app.unregister("t"),
        lambda app: app.start(),
        lambda app: app.stop(),
        lambda app: app.warm("t"),
        lambda app: app.warm_cache("k", lambda: 1),
        lambda app: app.warm_critical_data(),
        lambda app: app.warm_user_data("42"),
        lambda app: app.invalidate("k"),
        lambda app: app.stats(),
        lambda app: app.performance(),
        lambda app: app.optimize(),
    ],
)
def test_whatever_else_is_asked_is_refused_with_what_to_do(away, ask):
    with pytest.raises(StoreUnavailableError, match="check that the server at WARMER_REDIS_URL is up"):
        ask(away)


def test_reads_that_redis_did_not_answer_are_counted(app, own_server, eventually):
    own_server.kill()
    for _ in range(7):
        app.get("k")
    own_server.restart_empty()
    eventually(lambda: app.stats()["incidents"]["read_errors"] == 7)
