"""Pattern warming: what is read comes back by itself, what is not is let go; schedules that are adjusted at once."""

import pytest

from tests.support.flow import claim, complete, outcome, places_of, refs, server_ms
from tests.support.runtimes import store_of
from warmer import WarmingTask
from warmer.engine.review_loop import ReviewLoop
from warmer.store import Result


def register(warmer, task_id: str, **values: object) -> None:
    defaults = {"task_id": task_id, "cache_key": f"{task_id}:key", "compute_fn": lambda: 1, "ttl": 60}
    warmer.register(WarmingTask(**{**defaults, **values}))


def read(warmer, ref: str, times: int) -> None:
    read.number += 1
    store_of(warmer).reads.flush("reader", read.number, [(ref, "", times, 0, [], 0, 0, 0)])


read.number = 0


def let_lapse(warmer, *task_ids: str) -> None:
    for task_id in task_ids:
        store_of(warmer).control.zrem(store_of(warmer).keys.scheduled_queue + task_id, task_id)
        store_of(warmer).control.zrem(store_of(warmer).keys.due, task_id)


def publish(warmer, ref: str, fresh_for_s: float, computed_in_ms: float = 5.0) -> None:
    """As if a reader had computed its value; it is reviewed when that expires."""
    until_ms = server_ms(store_of(warmer)) + round(1000 * fresh_for_s)
    ended = outcome(ref, "", ("review", until_ms), origin="miss", duration_ms=computed_in_ms, fresh_until_ms=until_ms)
    complete(store_of(warmer), ended)


def review(warmer) -> None:
    """Decide on all that is to be reviewed, as the scheduler does."""
    store_of(warmer).fleet.lead("scheduler", 60)
    ReviewLoop(store_of(warmer), warmer.settings, "scheduler").run()


def review_now(warmer, ref: str) -> None:
    store_of(warmer).control.zadd(store_of(warmer).keys.reviews, {ref: server_ms(store_of(warmer))}, xx=True)
    review(warmer)


@pytest.fixture
def running(warmer):
    warmer.start()
    return warmer


def test_a_lapsed_target_that_is_read_comes_back(running):
    register(running, "hot")
    register(running, "cold")
    let_lapse(running, "hot", "cold")
    read(running, "hot", 500)
    result = running.optimize()
    assert result["tasks_optimized"] == 1
    (adjusted,) = result["schedules_adjusted"]
    assert (adjusted["task_id"], adjusted["ref"]) == ("hot", "hot")
    assert adjusted["reads_per_minute"] == pytest.approx(500 / 16, rel=0.02)
    assert 0 < adjusted["interval_minutes"] <= 1
    assert adjusted["previous_interval_minutes"] is None
    assert adjusted["reason"].startswith("read again: the chance of a read within its ttl, ")
    review(running)
    assert refs(claim(store_of(running), 5)) == ["hot"]


def test_what_is_no_longer_read_is_let_go(running):
    register(running, "fading")
    let_lapse(running, "fading")
    read(running, "fading", 200)
    publish(running, "fading", fresh_for_s=50)
    review_now(running, "fading")
    batch = claim(store_of(running), 5)
    assert refs(batch) == ["fading"], "it was worth a refresh"
    until_ms = server_ms(store_of(running)) + 50_000
    complete(store_of(running), outcome("fading", batch.token, ("review", until_ms), fresh_until_ms=until_ms))
    _grow_old(running, "fading", by_ms=16 * 60_000 * 8)
    (adjusted,) = running.optimize()["schedules_adjusted"]
    assert (adjusted["task_id"], adjusted["interval_minutes"]) == ("fading", None)
    assert adjusted["previous_interval_minutes"] > 0
    assert "is below the threshold" in adjusted["reason"]
    assert places_of(store_of(running), "fading") == {}


def _grow_old(warmer, ref: str, by_ms: int) -> None:
    """As if it had not been read for this long."""
    store = store_of(warmer)
    (bucket,) = store.control.keys(f"{store.keys.history_buckets}*")
    record = store.control.get(bucket)
    last = int.from_bytes(record[5:10], "little") - by_ms
    store.control.setrange(bucket, 5, last.to_bytes(5, "little"))


def test_a_refresh_that_takes_longer_by_now_begins_earlier(running):
    register(running, "slow")
    let_lapse(running, "slow")
    read(running, "slow", 500)
    publish(running, "slow", fresh_for_s=50)
    store = store_of(running)
    store.control.zincrby(store.keys.reviews, -1000, "slow")  # planned when it took a second
    publish_at = store.control.zscore(store.keys.reviews, "slow")
    store.control.hset(store.keys.stats + "slow", "p95_ms", 8000)
    (adjusted,) = running.optimize()["schedules_adjusted"]
    assert adjusted["interval_minutes"] < adjusted["previous_interval_minutes"]
    assert "8.1 s before its value expires, rather than 1.0 s" in adjusted["reason"]
    assert store.control.zscore(store.keys.reviews, "slow") == pytest.approx(publish_at - 7100, abs=60)


def test_optimizing_again_changes_nothing(running):
    register(running, "hot")
    let_lapse(running, "hot")
    read(running, "hot", 500)
    assert running.optimize()["tasks_optimized"] == 1
    assert running.optimize()["schedules_adjusted"] == []


def test_critical_targets_are_left_alone(running):
    register(running, "critical", critical=True)
    read(running, "critical", 1)
    assert running.optimize()["tasks_optimized"] == 0


def test_what_was_asked_for_by_hand_is_not_let_go(running):
    register(running, "asked")
    running.warm("asked")
    batch = claim(store_of(running), 1)
    complete(store_of(running), outcome("asked", batch.token, ("in", 60_000), Result.BUSY))
    read(running, "asked", 1)
    assert running.optimize()["tasks_optimized"] == 0
    assert list(places_of(store_of(running), "asked")) == ["asked"]


def test_only_the_hottest_are_looked_at(make_warmer):
    running = make_warmer(optimize_top_targets=2)
    running.start()
    for number in range(1, 5):
        register(running, f"t{number}")
        let_lapse(running, f"t{number}")
        read(running, f"t{number}", 1000 * number)
    assert [adjusted["task_id"] for adjusted in running.optimize()["schedules_adjusted"]] == ["t4", "t3"]


def test_users_targets_follow_their_reads_too(running):
    register(running, "profile", cache_key="user:{user_id}", compute_fn=lambda user_id: user_id)
    read(running, 'profile{"user_id":7}', 500)
    running.optimize()
    review(running)
    assert refs(claim(store_of(running), 5)) == ['profile{"user_id":7}']


def test_reads_of_unregistered_tasks_are_ignored(running):
    read(running, "nobody", 1000)
    assert store_of(running).reads.hottest(5)[1] == []
    assert running.optimize()["tasks_optimized"] == 0


def test_nothing_is_adjusted_while_warming_is_off(warmer):
    register(warmer, "hot")
    let_lapse(warmer, "hot")
    read(warmer, "hot", 500)
    assert warmer.optimize()["tasks_optimized"] == 0
