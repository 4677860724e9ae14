"""At every round trip of a refresh: the command is not sent, or its reply is lost. Nothing due is lost either way."""

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.support.flow import work_off
from tests.support.leases import around_scripts
from tests.support.runtimes import runtime_of, store_of
from warmer import WarmingTask

ROUND_TRIPS = ["tick", "claim", "take_lease", "publish", "complete"]


class Cut:
    """Cuts the connection at one script, once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, script: str, sent: bool) -> None:
        self.happened = False

        def run_or_cut(name, run):
            if name != script or self.happened:
                return run()
            self.happened = True
            if sent:
                run()
            raise RedisConnectionError("cut")

        around_scripts(monkeypatch, run_or_cut)


def work(warmer) -> None:
    """What a scheduler and a worker do in one round; a cut ends the round as it would end the process's job."""
    try:
        store_of(warmer).refreshes.tick()
        work_off(warmer)
    except RedisConnectionError:
        pass


def let_time_pass(warmer) -> None:
    """As if the claim's and the lease's deadlines, and the time to try again, had come."""
    for ref in store_of(warmer).control.zrange(store_of(warmer).keys.claims, 0, -1):
        store_of(warmer).control.zadd(store_of(warmer).keys.claims, {ref: 1})
    for ref in store_of(warmer).control.zrange(store_of(warmer).keys.due, 0, -1):
        store_of(warmer).control.zadd(store_of(warmer).keys.due, {ref: 1})
    store_of(warmer).control.delete(store_of(warmer).keys.lease("k"))


@pytest.mark.parametrize("sent", [False, True], ids=["not-sent", "reply-lost"])
@pytest.mark.parametrize("script", ROUND_TRIPS)
def test_a_cut_at_any_round_trip_loses_nothing(warmer, monkeypatch, script, sent):
    warmer.start()
    warmer.register(WarmingTask(task_id="t", cache_key="k", compute_fn=lambda: "warm", critical=True))
    cut = Cut(monkeypatch, script, sent)
    work(warmer)
    assert cut.happened
    let_time_pass(warmer)
    work(warmer)
    assert warmer.get("k") == "warm"
    control, keys = store_of(warmer).control, store_of(warmer).keys
    assert control.zcard(keys.claims) == 0
    assert control.hlen(keys.claim_records) == 0
    assert store_of(warmer).targets.backlog() == 0
    assert control.zscore(keys.due, "t") > store_of(warmer).reads.hottest(0)[0], "the next refresh is planned"


@pytest.mark.parametrize("sent", [False, True], ids=["not-sent", "reply-lost"])
@pytest.mark.parametrize("script", ["take_lease", "publish"])
def test_a_reader_gets_its_value_whatever_is_cut(warmer, monkeypatch, script, sent):
    cut = Cut(monkeypatch, script, sent)
    assert warmer.get_or_compute("k", lambda: "value", ttl=60) == "value"
    assert cut.happened


@pytest.mark.parametrize("sent", [False, True], ids=["not-sent", "reply-lost"])
def test_registering_again_after_a_cut_registers_once(warmer, monkeypatch, sent):
    from warmer import StoreUnavailableError

    task = WarmingTask(task_id="t", cache_key="k", compute_fn=lambda: 1)
    Cut(monkeypatch, "register", sent)
    with pytest.raises(StoreUnavailableError, match="try again"):
        warmer.register(task)
    assert runtime_of(warmer).registry.get("t") is None, "nothing is half-registered here"
    assert warmer.register(task) == ("unchanged" if sent else "registered")
    assert warmer.stats()["tasks"] == 1
