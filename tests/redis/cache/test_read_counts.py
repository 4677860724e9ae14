"""Counted reads: sent once, ranked by heat, and credited to refreshes that they needed."""

import math
import threading

import pytest

from tests.support.flow import server_ms, work_off
from tests.support.runtimes import runtime_of, store_of
from warmer import WarmingTask
from warmer.codec.entry import Header, Origin, pack
from warmer.engine.next_due import JUDGEMENT_GRACE_S
from warmer.store import Result


def register(warmer, task_id: str = "t", **values: object) -> None:
    defaults = {"task_id": task_id, "cache_key": f"{task_id}:key", "compute_fn": lambda: {"of": task_id}}
    warmer.register(WarmingTask(**{**defaults, **values}))


def test_what_is_no_entry_is_a_miss_and_is_replaced(warmer):
    store_of(warmer).control.set(store_of(warmer).keys.entry("k"), b"somebody else's bytes")
    assert warmer.get("k", "miss") == "miss"
    broken = Header(1, 2**50, 2**50, 2**50, 0, 0, Origin.WARM, 1, b"")
    store_of(warmer).control.set(store_of(warmer).keys.entry("k"), pack(broken, b"{not json"))
    assert warmer.get("k", "miss") == "miss"
    assert warmer.warm_cache("k", lambda: "good", force=True)
    assert warmer.get("k") == "good"


@pytest.mark.parametrize("codec", [1, 9])
def test_an_entry_that_cannot_be_read_is_replaced_by_the_next_reader_at_once(make_warmer, codec):
    warmer = make_warmer(lease_wait_s=60)
    far_ms = server_ms(store_of(warmer)) + 600_000
    unreadable = pack(Header(far_ms - 1, far_ms, far_ms, far_ms, 0, 0, Origin.WARM, codec, b""), b"{")
    store_of(warmer).control.set(store_of(warmer).keys.entry("k"), unreadable)
    assert warmer.get_or_compute("k", lambda: "good", ttl=60) == "good"
    assert warmer.get("k") == "good"


def test_a_value_of_another_target_is_not_taken_for_ours(warmer):
    register(warmer)
    foreign = Header(1, 2**50, 2**50, 2**50, 0, 0, Origin.WARM, 1, b"another-task")
    store_of(warmer).control.set(store_of(warmer).keys.entry("t:key"), pack(foreign, b'"foreign"'))
    assert warmer.get("t:key", "miss") == "miss"
    warmer.warm("t")
    assert work_off(warmer) == [Result.PUBLISHED]
    assert warmer.get("t:key") == {"of": "t"}


def test_hits_are_counted_in_a_process_that_never_registered_the_task(warmer, make_warmer):
    register(warmer, "profile", cache_key="user:{user_id}", compute_fn=lambda user_id: {"of": "profile"})
    warmer.warm("profile", {"user_id": 42})
    assert work_off(warmer) == [Result.PUBLISHED]
    reader = make_warmer()
    assert runtime_of(reader).registry.tasks() == []
    assert reader.get("user:42") == {"of": "profile"}
    runtime_of(reader).background.tick()
    _, hottest = store_of(warmer).reads.hottest(5)
    assert [hot.ref for hot in hottest] == ['profile{"user_id":42}']


def test_a_flush_that_is_sent_twice_counts_once(warmer):
    reads = [("", "k", 2, 1, [], 0, 0, 0)]
    assert store_of(warmer).reads.flush("reader", 1, reads) is True
    assert store_of(warmer).reads.flush("reader", 1, reads) is False
    assert store_of(warmer).reads.flush("reader", 2, reads) is True
    assert store_of(warmer).reads.flush("other", 1, reads) is True
    assert store_of(warmer).stats.totals()["hits"] == 6


def test_reads_of_an_outage_arrive_once_it_is_over(warmer, monkeypatch):
    from redis.exceptions import ConnectionError as RedisConnectionError

    warmer.get("k")
    flush = store_of(warmer).reads.flush

    def reply_lost(*arguments):
        flush(*arguments)
        raise RedisConnectionError("the reply was lost")

    monkeypatch.setattr(store_of(warmer).reads, "flush", reply_lost)
    assert runtime_of(warmer).background.tick() is False
    monkeypatch.setattr(store_of(warmer).reads, "flush", flush)
    warmer.get("k")
    assert runtime_of(warmer).background.tick() is True
    assert runtime_of(warmer).background.tick() is True
    assert store_of(warmer).stats.totals()["misses"] == 2


def test_heat_halves_in_a_half_life(make_warmer):
    warmer = make_warmer(heat_half_life_s=100.0)
    register(warmer)
    store_of(warmer).reads.flush("reader", 1, [("t", "t:key", 1000, 0, [], 0, 0, 0)])
    _, [hot] = store_of(warmer).reads.hottest(1)
    assert hot.reads_per_s == pytest.approx(1000 * math.log(2) / 100, rel=0.01)
    now_ms = store_of(warmer).reads.hottest(0)[0]
    store_of(warmer).control.set(store_of(warmer).keys.heat_landmark, now_ms - 100_000)  # as if 100 s had passed
    _, [hot] = store_of(warmer).reads.hottest(1)
    assert hot.reads_per_s == pytest.approx(500 * math.log(2) / 100, rel=0.01)


def test_heat_survives_a_move_of_its_landmark(make_warmer):
    warmer = make_warmer(heat_half_life_s=1.0)
    register(warmer, "old")
    register(warmer, "new")
    store_of(warmer).reads.flush("reader", 1, [("old", "", 8, 0, [], 0, 0, 0)])
    now_ms = store_of(warmer).reads.hottest(0)[0]
    store_of(warmer).control.set(store_of(warmer).keys.heat_landmark, now_ms - 600_000)  # 600 half-lives
    store_of(warmer).reads.flush("reader", 2, [("new", "", 3, 0, [], 0, 0, 0)])
    moved_to_ms = int(store_of(warmer).control.get(store_of(warmer).keys.heat_landmark))
    assert moved_to_ms >= now_ms
    _, hottest = store_of(warmer).reads.hottest(2)
    assert [hot.ref for hot in hottest] == ["new", "old"]
    assert all(math.isfinite(hot.reads_per_s) for hot in hottest)


def test_heat_keeps_the_hottest_in_bounded_memory(make_warmer):
    warmer = make_warmer(heat_capacity=10)
    register(warmer, "t", cache_key="{user_id}", compute_fn=lambda user_id: user_id)
    reads = [(f't{{"user_id":{n}}}', "", n, 0, [], 0, 0, 0) for n in range(1, 31)]
    store_of(warmer).reads.flush("reader", 1, reads)
    assert store_of(warmer).control.zcard(store_of(warmer).keys.heat) == 10
    assert [hot.ref for hot in store_of(warmer).reads.hottest(3)[1]] == [f't{{"user_id":{n}}}' for n in (30, 29, 28)]


def test_distinct_keys_beyond_the_bound_are_dropped_and_counted(warmer, monkeypatch):
    monkeypatch.setattr("warmer.refresh.read_counter.MAX_KEYS", 3)
    for n in range(5):
        runtime_of(warmer).read_counter.miss(f"k{n}")
    runtime_of(warmer).background.tick()
    assert store_of(warmer).stats.totals()["misses"] == 3
    assert store_of(warmer).stats.totals()["dropped_reads"] == 2


def test_counting_from_many_threads_loses_nothing(warmer):
    def read() -> None:
        for _ in range(200):
            warmer.get("k")

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runtime_of(warmer).background.tick()
    assert store_of(warmer).stats.totals()["misses"] == 1600


def refresh_claimed(warmer) -> None:
    assert work_off(warmer) == [Result.PUBLISHED]


def pass_judgement(warmer) -> None:
    """As if the time had come at which unread refreshes count as wasted."""
    for refresh in store_of(warmer).control.zrange(store_of(warmer).keys.unjudged_refreshes, 0, -1):
        store_of(warmer).control.zadd(store_of(warmer).keys.unjudged_refreshes, {refresh: 1})
    store_of(warmer).refreshes.tick()


def test_a_refresh_that_is_read_after_its_predecessor_would_have_expired_is_useful(warmer):
    register(warmer, critical=True)
    warmer.warm("t", force=True)
    refresh_claimed(warmer)
    assert warmer.performance()["efficiency_score"] == 0.0
    warmer.get("t:key")
    performance = warmer.performance()
    assert (performance["judged"], performance["efficiency_score"]) == (1, 100.0)


def test_a_read_that_the_previous_value_would_have_served_credits_nobody(warmer):
    register(warmer, critical=True, ttl=600)
    warmer.warm("t", force=True)
    refresh_claimed(warmer)
    warmer.get("t:key")
    assert warmer.performance()["useful"] == 1
    warmer.warm("t", force=True)
    refresh_claimed(warmer)  # far too early: the previous value lives for ten minutes
    warmer.get("t:key")
    assert warmer.performance()["judged"] == 1
    pass_judgement(warmer)
    performance = warmer.performance()
    assert (performance["judged"], performance["useful"], performance["efficiency_score"]) == (2, 1, 50.0)


def test_a_refresh_that_nobody_reads_is_wasted(warmer):
    register(warmer, critical=True)
    warmer.warm("t", force=True)
    refresh_claimed(warmer)
    store = store_of(warmer)
    [(_, deadline_ms)] = store.control.zrange(store.keys.unjudged_refreshes, 0, -1, withscores=True)
    assert deadline_ms >= store_of(warmer).reads.hottest(0)[0] + 0.95 * 3_600_000 - 1000 + 1000 * JUDGEMENT_GRACE_S
    pass_judgement(warmer)
    performance = warmer.performance()
    assert (performance["judged"], performance["efficiency_score"]) == (1, 0.0)


def test_warming_does_not_count_as_reading(warmer):
    register(warmer, critical=True)
    warmer.warm_critical_data(force=True)
    runtime_of(warmer).background.tick()
    assert warmer.performance()["hit_ratio"] == 0.0
    assert store_of(warmer).reads.hottest(5)[1] == []


def test_stale_values_are_counted_as_such(warmer):
    far_ms = server_ms(store_of(warmer))
    header = Header(far_ms - 2000, far_ms - 1000, far_ms - 1000, far_ms + 60_000, 0, 0, Origin.MISS, 1, b"")
    store_of(warmer).control.set(store_of(warmer).keys.entry("k"), pack(header, b'"old"'))
    assert [warmer.get("k"), warmer.get("k")] == ["old", "old"]
    performance = warmer.performance()
    assert (performance["stale_hits"], performance["hit_ratio"]) == (2, 1.0)
