"""Pattern warming: what is read comes back by itself, what is not is let go."""

import pytest

from tests.flow import claim, complete, outcome, places_of, refs
from warmer import WarmingTask
from warmer.store import Result


def register(warmer, task_id: str, **values: object) -> None:
    defaults = {"task_id": task_id, "cache_key": f"{task_id}:key", "compute_fn": lambda: 1, "ttl": 60}
    warmer.register(WarmingTask(**{**defaults, **values}))


def read(warmer, task_id: str, times: int) -> None:
    read.number += 1
    warmer.store.flush("reader", read.number, [(task_id, "", times, 0, [], 0)])


read.number = 0


def let_lapse(warmer, *task_ids: str) -> None:
    for task_id in task_ids:
        warmer.store.control.zrem(warmer.store.keys.ready + task_id, task_id)
        warmer.store.control.zrem(warmer.store.keys.due, task_id)


@pytest.fixture
def running(warmer):
    warmer.start()
    return warmer


def test_a_lapsed_target_that_is_read_comes_back(running):
    register(running, "hot")
    register(running, "cold")
    let_lapse(running, "hot", "cold")
    read(running, "hot", 500)
    read(running, "cold", 1)
    result = running.optimize()
    assert result["tasks_optimized"] == 1
    (adjusted,) = result["schedules_adjusted"]
    assert adjusted["task_id"] == "hot"
    assert adjusted["frequency"] == pytest.approx(60 * 500 * 0.693147 / 900, rel=0.02)
    assert 0 < adjusted["interval_minutes"] <= 1
    assert refs(claim(running.store, 5)) == ["hot"]


def test_what_is_no_longer_read_is_let_go(running):
    register(running, "fading")
    let_lapse(running, "fading")
    later_ms = running.store.hottest(0)[0] + 60_000
    running.store.reschedule("fading", later_ms)
    read(running, "fading", 1)
    (adjusted,) = running.optimize()["schedules_adjusted"]
    assert (adjusted["task_id"], adjusted["interval_minutes"]) == ("fading", None)
    assert running.store.control.zscore(running.store.keys.due, "fading") is None


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
    batch = claim(running.store, 1)
    complete(running.store, outcome("asked", batch.token, ("in", 60_000), Result.BUSY))
    read(running, "asked", 1)
    assert running.optimize()["tasks_optimized"] == 0
    assert list(places_of(running.store, "asked")) == ["asked"]


def test_only_the_hottest_are_followed(make_warmer):
    running = make_warmer(hottest=2)
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
    assert refs(claim(running.store, 5)) == ['profile{"user_id":7}']


def test_reads_of_unregistered_tasks_are_ignored(running):
    read(running, "nobody", 1000)
    assert running.store.hottest(5)[1] == []
    assert running.optimize()["tasks_optimized"] == 0
