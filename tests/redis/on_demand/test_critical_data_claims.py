"""`warm_critical_data` beside leases of readers and claims of dead workers."""

import pytest

from tests.support.flow import claim
from tests.support.runtimes import store_of
from warmer import WarmingTask
from warmer.codec.entry import Header, Origin, pack


def register(warmer, task_id: str, compute, **values: object) -> None:
    task = WarmingTask(task_id=task_id, name=f"the {task_id}", cache_key=task_id, compute_fn=compute, **values)
    warmer.register_critical(task)


def adds_up(result) -> bool:
    return result["total"] == result["succeeded"] + result["failed"] + result["skipped"] == len(result["tasks"])


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
