"""Races on one key, with the interleaving forced: each test holds a computation where it hurts."""

from itertools import pairwise

import pytest

from tests.support.flow import carry_out, claim, refs, take_one, work_off
from tests.support.interleaving import Beside, Gate
from tests.support.leases import misses
from tests.support.runtimes import runtime_of, store_of
from warmer import WarmingTask
from warmer.store import Result


def test_a_worker_paused_past_its_lease_writes_nothing(warmer):
    gate = Gate("old")
    warmer.register(WarmingTask(task_id="t", cache_key="k", compute_fn=gate))
    warmer.warm("t")
    job = take_one(warmer)
    slow = Beside(lambda: carry_out(warmer, job))
    assert gate.entered.wait(10)
    # paused: its lease and its claim lapse, another computes and publishes, then the first wakes up
    store_of(warmer).control.delete(store_of(warmer).keys.lease("k"))
    store_of(warmer).control.zadd(store_of(warmer).keys.claims, {"t": 1})
    store_of(warmer).refreshes.tick()
    assert warmer.warm_cache("k", lambda: "new", ttl=60, force=True)
    gate.may_go_on.set()
    assert slow.result() is Result.LOST
    assert warmer.get("k") == "new"


def test_a_value_computed_before_an_invalidation_is_not_published(warmer):
    gate = Gate("from the old data")
    reader = Beside(lambda: warmer.get_or_compute("k", gate, ttl=60))
    assert gate.entered.wait(10)
    warmer.invalidate("k")
    gate.may_go_on.set()
    assert reader.result() == "from the old data", "its own caller gets what it computed"
    assert warmer.get("k", "nothing") == "nothing"
    assert warmer.get_or_compute("k", lambda: "from the new data", ttl=60) == "from the new data"


def test_threads_on_one_cold_key_compute_once(make_warmer, eventually):
    warmer = make_warmer(flush_s=60, tick_s=60)
    gate = Gate("value")
    readers = [Beside(lambda: warmer.get_or_compute("k", gate, ttl=60)) for _ in range(30)]
    assert gate.entered.wait(10)
    eventually(lambda: misses(warmer) == 30)
    gate.may_go_on.set()
    assert [reader.result() for reader in readers] == ["value"] * 30
    assert gate.calls == 1


def test_processes_on_one_cold_key_compute_once(make_warmer, eventually):
    warmer = make_warmer(flush_s=60, tick_s=60)
    gate = Gate("value")
    leader = Beside(lambda: warmer.get_or_compute("k", gate, ttl=60))
    assert gate.entered.wait(10)
    others = [
        make_warmer(flush_s=60, tick_s=60) for _ in range(6)
    ]  # each with clients and locks of its own, as processes have
    followers = [Beside(lambda w=w: w.get_or_compute("k", lambda: pytest.fail("stampede"), ttl=60)) for w in others]
    eventually(lambda: sum(misses(w) for w in (warmer, *others)) == 7)
    gate.may_go_on.set()
    assert [reader.result() for reader in (leader, *followers)] == ["value"] * 7
    assert gate.calls == 1


def test_a_leader_that_dies_has_one_successor(warmer, make_warmer, eventually):
    store_of(warmer).entries.take_lease("k", "a process that was killed")
    calls: list[int] = []
    others = [make_warmer(flush_s=60, tick_s=60) for _ in range(4)]
    followers = [Beside(lambda w=w: w.get_or_compute("k", lambda: calls.append(1) or "value", ttl=60)) for w in others]
    eventually(lambda: sum(misses(w) for w in others) == 4)
    store_of(warmer).control.delete(store_of(warmer).keys.lease("k"))  # it lapses
    assert [reader.result() for reader in followers] == ["value"] * 4
    assert len(calls) == 1


def test_waiting_for_another_s_computation_has_a_bound(make_warmer):
    warmer = make_warmer(lease_wait_s=0.1)
    store_of(warmer).entries.take_lease("k", "somebody slow")
    assert warmer.get_or_compute("k", lambda: "computed here", ttl=60) == "computed here"
    assert warmer.get("k", "not published") == "not published"


def test_a_failing_leader_passes_the_lease_on_to_who_comes_later(warmer, make_warmer):
    failing = Gate(OSError("database is down"))
    leader = Beside(lambda: warmer.get_or_compute("k", failing, ttl=60))
    assert failing.entered.wait(10)
    failing.may_go_on.set()
    with pytest.raises(OSError, match="database is down"):
        leader.result()
    assert make_warmer().get_or_compute("k", lambda: "value", ttl=60) == "value"


def test_a_lease_outlives_its_time_out_while_the_computation_lives(make_warmer, eventually):
    warmer = make_warmer(lease_timeout_s=0.5, claim_timeout_s=0.5)
    gate = Gate("slow but sure")
    reader = Beside(lambda: warmer.get_or_compute("k", gate, ttl=60))
    assert gate.entered.wait(10)
    lease = store_of(warmer).keys.lease("k")
    remaining = [store_of(warmer).control.pttl(lease)]

    def renewed_twice() -> bool:
        remaining.append(store_of(warmer).control.pttl(lease))
        return sum(after > before for before, after in pairwise(remaining)) >= 2

    eventually(renewed_twice)
    gate.may_go_on.set()
    reader.result()
    assert warmer.get("k") == "slow but sure"


def test_a_reader_and_a_worker_on_one_target_compute_once(warmer):
    gate = Gate("value")
    warmer.register(WarmingTask(task_id="t", cache_key="k", compute_fn=lambda: pytest.fail("computed twice")))
    warmer.start()
    reader = Beside(lambda: warmer.get_or_compute("k", gate, ttl=60))
    assert gate.entered.wait(10)
    assert work_off(warmer) == [Result.BUSY]
    gate.may_go_on.set()
    reader.result()
    runtime_of(warmer).background.tick()
    warmer.warm("t")
    assert work_off(warmer) == [Result.FRESH]
    assert gate.calls == 1


def test_many_claimers_claim_each_target_once(make_warmer):
    warmers = [make_warmer() for _ in range(4)]
    store = store_of(warmers[0])
    from warmer.tasks.switch import Switch

    store.switch.set(Switch(on=True))
    pipeline = store.control.pipeline()
    for number in range(2000):
        pipeline.zadd(store.keys.due, {f"t{number}": number})
        pipeline.hset(store.keys.task_specs, f"t{number}", "0 o t 1 0 60000 f ")
        pipeline.hset(store.keys.definitions, f"t{number}", "{}")
    pipeline.execute()

    def claim_all(claimer) -> list[str]:
        found: list[str] = []
        while claimed := refs(claim(store_of(claimer), 17)):
            found += claimed
        return found

    claimers = [Beside(lambda w=w: claim_all(w)) for w in warmers]
    found = [ref for claimer in claimers for ref in claimer.result()]
    assert len(found) == 2000
    assert len(set(found)) == 2000
