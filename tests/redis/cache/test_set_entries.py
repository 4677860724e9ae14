"""Entries that `set` writes: their ttl, what they replace, and a server that refuses writes."""

import pytest

from tests.support.flow import drain
from tests.support.interleaving import Beside, Gate
from tests.support.runtimes import runtime_of, store_of
from warmer import StoreUnavailableError, WarmingTask


def remaining_s(warmer, key: str) -> float:
    return store_of(warmer).control.pttl(store_of(warmer).keys.entry(key)) / 1000


def test_what_is_set_lasts_for_its_ttl(warmer):
    warmer.set("k", 1, ttl=100)
    assert 94 < remaining_s(warmer, "k") <= 100, "shortened by the jitter of its key at most"


def test_a_worker_s_computation_that_began_before_is_not_published(warmer):
    gate = Gate("from the old data")
    warmer.register(WarmingTask(task_id="t", cache_key="k", compute_fn=gate, ttl=60))
    warmer.start()
    handle = warmer.warm("t")
    working = Beside(lambda: drain(warmer))
    assert gate.entered.wait(10)
    warmer.set("k", "from the new data")
    gate.may_go_on.set()
    working.result()
    assert warmer.get("k") == "from the new data"
    store_of(warmer).refreshes.tick()
    drain(warmer)
    assert handle.wait(5).success, "whoever asked for it is told once it is warm"


def test_a_none_set_by_hand_lasts_for_the_ttl_that_was_asked_for(warmer):
    warmer.register(WarmingTask(task_id="t", cache_key="k", compute_fn=lambda: 1, ttl=600, negative_ttl=1))
    warmer.set("k", None, ttl=100)
    assert warmer.get("k", "missing") is None
    assert remaining_s(warmer, "k") > 90


def test_what_is_set_for_less_than_the_task_refreshes_ahead_is_not_renewed_by_its_first_reader(warmer):
    calls: list[int] = []
    load = warmer.warmed("load:{n}", ttl=600, refresh_ahead=300)(_counting(calls))
    warmer.set(load.key(1), 0, ttl=100)
    assert [load(1) for _ in range(3)] == [0, 0, 0]
    assert runtime_of(warmer).miss_handler._flights._flights == {}
    assert calls == []


def _counting(calls: list[int]):
    def load(n: int) -> int:
        calls.append(n)
        return n

    return load


def test_a_redis_that_refuses_writes_is_told(warmer, monkeypatch):
    from redis.exceptions import ResponseError

    def refuse(*arguments):
        raise ResponseError("OOM command not allowed when used memory > 'maxmemory'")

    monkeypatch.setattr(store_of(warmer).entries, "publish_many", refuse)
    with pytest.raises(StoreUnavailableError, match="'k' was not set: not cached: ResponseError: OOM"):
        warmer.set("k", 1)
    assert store_of(warmer).control.exists(store_of(warmer).keys.lease("k")) == 0
