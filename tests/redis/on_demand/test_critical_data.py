"""`warm_critical_data`: its counts add up, whoever does the work."""

import pytest

from tests.support.flow import claim
from tests.support.runtimes import store_of
from warmer import WarmingTask
from warmer.codec.entry import Header, Origin, pack


def register(warmer, task_id: str, compute, **values: object) -> None:
    task = WarmingTask(task_id=task_id, name=f"the {task_id}", cache_key=task_id, compute_fn=compute, **values)
    warmer.register_critical(task)


def fail() -> None:
    raise LookupError("gone")


def adds_up(result) -> bool:
    return result["total"] == result["succeeded"] + result["failed"] + result["skipped"] == len(result["tasks"])


def test_this_process_does_it_when_no_worker_is_alive(warmer):
    order: list[str] = []
    for task_id, priority in [("low", 10), ("high", 90), ("top", 200)]:
        register(warmer, task_id, lambda task_id=task_id: order.append(task_id) or task_id, priority=priority)
    register(warmer, "broken", fail, priority=50)
    ordinary = WarmingTask(task_id="ordinary", cache_key="o", priority=49, compute_fn=lambda: order.append("ordinary"))
    warmer.register(ordinary)
    warmer.start()
    result = warmer.warm_critical_data()
    assert order == ["top", "high", "low"]
    assert [task["task_id"] for task in result["tasks"]] == ["top", "high", "broken", "low"]
    assert (result["total"], result["succeeded"], result["failed"], result["skipped"]) == (4, 3, 1, 0)
    assert adds_up(result)
    broken = result["tasks"][2]
    assert (broken["name"], broken["success"], broken["error"]) == ("the broken", False, "LookupError: gone")
    assert result["total_duration_ms"] > 0


def test_what_is_fresh_is_skipped_unless_forced(warmer):
    register(warmer, "t", lambda: 1)
    warmer.warm_critical_data()
    again = warmer.warm_critical_data()
    assert (again["succeeded"], again["skipped"]) == (0, 1)
    assert again["tasks"][0]["success"] is True
    assert adds_up(again)
    assert warmer.warm_critical_data(force=True)["succeeded"] == 1


def test_the_workers_do_it_when_one_is_alive(make_warmer, eventually):
    warmer = make_warmer(threads=True)
    register(warmer, "t", lambda: 1)
    register(warmer, "broken", fail)
    warmer.start()
    eventually(lambda: warmer.get("t") == 1)
    result = warmer.warm_critical_data(force=True)
    assert (result["total"], result["succeeded"], result["failed"]) == (2, 1, 1)
    assert adds_up(result)


def test_it_works_while_warming_is_off(make_warmer):
    warmer = make_warmer()
    register(warmer, "t", lambda: 1)
    assert not store_of(warmer).switch.get().on
    assert warmer.warm_critical_data()["succeeded"] == 1
    assert warmer.get("t") == 1


def test_waiting_ends_at_its_time_out(warmer):
    register(warmer, "t", lambda: 1)
    store_of(warmer).entries.take_lease("t", "a reader that takes its time")
    result = warmer.warm_critical_data(timeout_s=0.3)
    assert (result["failed"], result["tasks"][0]["error"]) == (1, "not finished within 0.3 s")
    assert 300 <= result["total_duration_ms"] < 5000
    assert adds_up(result)


def test_a_reader_s_computation_is_waited_for(make_warmer, eventually):
    import threading

    warmer, go_on = make_warmer(), threading.Event()
    register(warmer, "t", lambda: pytest.fail("computed twice"))
    lease = store_of(warmer).entries.take_lease("t", "a reader")
    until_ms = lease.now_ms + 60_000

    def publish() -> None:
        go_on.wait(10)
        entry = pack(Header(lease.now_ms, until_ms, until_ms, until_ms, 0, 1, Origin.MISS, 1, b"t"), b'"the reader\'s"')
        store_of(warmer).entries.publish_many([("t", "a reader", until_ms, entry)])

    reader = threading.Thread(target=publish)
    reader.start()
    threading.Timer(0.2, go_on.set).start()
    result = warmer.warm_critical_data(timeout_s=10)
    reader.join()
    assert (result["failed"], result["skipped"]) == (0, 1)
    assert warmer.get("t") == "the reader's"


def test_a_claim_of_a_dead_worker_is_taken_over(make_warmer):
    warmer = make_warmer(claim_timeout_s=0.5)
    register(warmer, "t", lambda: 1)
    warmer.start()
    assert len(claim(store_of(warmer), 1).claims) == 1  # and its worker is killed
    result = warmer.warm_critical_data(timeout_s=10)
    assert (result["failed"], adds_up(result)) == (0, True)


def test_tasks_that_nobody_here_knows_are_said_so_at_once(warmer, make_warmer):
    register(warmer, "theirs", lambda: 1)
    result = make_warmer().warm_critical_data(timeout_s=30)
    assert result["tasks"][0]["error"] == "no worker is alive, and this process does not know the task"
    assert result["total_duration_ms"] < 5000
    assert adds_up(result)


def test_without_critical_tasks_there_is_nothing_to_do(warmer):
    result = warmer.warm_critical_data()
    assert (result["total"], adds_up(result)) == (0, True)
