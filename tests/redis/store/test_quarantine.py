"""Targets that kill the process which computes them are computed no more; nobody else suffers for them."""

import pytest

from tests.support.flow import claim, complete, let_all_be_due, outcome, places_of, refs, server_ms, what_is_left
from tests.support.runtimes import store_of
from warmer import WarmingTask
from warmer.store import Result


def profile(**values: object) -> WarmingTask:
    defaults = {"task_id": "profile", "cache_key": "user:{n}", "compute_fn": lambda n: n}
    return WarmingTask(**{**defaults, **values})


def plain(**values: object) -> WarmingTask:
    return WarmingTask(**{"task_id": "t", "cache_key": "k", "compute_fn": lambda: 1, "critical": True, **values})


def target(number: int) -> str:
    return f'profile{{"n":{number}}}'


@pytest.fixture
def store(warmer):
    warmer.start()
    warmer.register(profile())
    return store_of(warmer)


def claim_it(store, ref: str):
    """Claim one target alone, whatever else is ready."""
    batch = claim(store, 1, only=[ref])
    assert refs(batch) == [ref]
    return batch


def crash(store, ref: str, times: int = 1) -> list[str]:
    """Let a target kill a process of its own; returns what is quarantined by that."""
    quarantined: list[str] = []
    for _ in range(times):
        store.requests.submit([ref], force=True)
        batch = claim_it(store, ref)
        crashed = outcome(ref, batch.token, ("in", 60_000), Result.CRASHED, error="signal 11")
        quarantined += store.refreshes.complete([crashed]).quarantined
    return quarantined


def lapse(store, ref: str, times: int = 1) -> None:
    """Let the process die that has claimed a target, among others."""
    for number in range(times):
        life = f"life-{number}-"
        store.requests.submit([ref], force=True)
        claim(store, 1, only=[ref], drain_id=life)
        assert store.refreshes.lapse(life) == [ref]


def deaths(store, ref: str) -> int:
    store.requests.submit([ref], force=True)
    (found,) = claim_it(store, ref).claims
    return found.deaths


def test_a_third_death_in_a_process_of_its_own_puts_a_target_into_quarantine(store):
    assert crash(store, target(1)) == []
    assert crash(store, target(1)) == []
    assert crash(store, target(1)) == [target(1)]
    (found,) = store.quarantine.records()
    assert (found.name, found.deaths, found.why) == (target(1), 3, "signal 11")
    assert abs(found.since_ms - server_ms(store)) < 10_000
    assert refs(claim(store, 9)) == []
    assert what_is_left(store) == {}, "it is nowhere any more"


def test_a_crash_is_a_failure_with_backoff_until_the_third(store):
    crash(store, target(1))
    assert list(places_of(store, target(1))) == ["due"]
    let_all_be_due(store)
    (found,) = claim(store, 1).claims
    assert (found.failures, found.deaths) == (1, 1)
    totals = store.stats.totals()
    assert (totals["failed"], totals["crashes"]) == (1, 1)


@pytest.mark.parametrize("by", ["lapse", "tick"])
def test_suspicion_alone_never_quarantines(store, by):
    for _ in range(7):
        if by == "lapse":
            lapse(store, target(1))
        else:
            store.requests.submit([target(1)], force=True)
            claim_it(store, target(1))
            store.control.zadd(store.keys.claims, {target(1): 1})
            assert store.refreshes.tick().lapsed == 1
    assert store.quarantine.records() == []
    assert deaths(store, target(1)) == 2, "more would not say more"


def test_who_is_suspected_twice_needs_one_death_of_its_own(store):
    lapse(store, target(1), times=5)
    assert crash(store, target(1)) == [target(1)]


@pytest.mark.parametrize("result", [Result.PUBLISHED, Result.FRESH])
def test_a_success_clears_all_suspicion(store, result):
    crash(store, target(1), times=2)
    store.requests.submit([target(1)], force=True)
    batch = claim_it(store, target(1))
    complete(store, outcome(target(1), batch.token, ("in", 60_000), result))
    assert crash(store, target(1), times=2) == []
    assert deaths(store, target(1)) == 2


@pytest.mark.parametrize("result", [Result.FAILED, Result.BUSY, Result.LOST])
def test_what_is_no_success_clears_no_suspicion(store, result):
    crash(store, target(1), times=2)
    store.requests.submit([target(1)], force=True)
    batch = claim_it(store, target(1))
    complete(store, outcome(target(1), batch.token, ("in", 0), result))
    assert deaths(store, target(1)) == 2


def test_a_readers_value_clears_no_suspicion_of_the_workers(store):
    crash(store, target(1), times=2)
    complete(store, outcome(target(1), "", ("in", 60_000), origin="miss"))
    assert deaths(store, target(1)) == 2


def test_what_is_given_back_is_no_suspect(store):
    store.requests.submit([target(1)], force=True)
    batch = claim_it(store, target(1))
    store.refreshes.give_back([target(1)], batch.token)
    assert deaths(store, target(1)) == 0


def test_a_task_three_of_whose_targets_are_quarantined_is_quarantined_itself(store):
    assert crash(store, target(1), times=3) == [target(1)]
    assert crash(store, target(2), times=3) == [target(2)]
    assert store.requests.submit([target(4)], force=True) == ["asked"]
    assert crash(store, target(3), times=3) == [target(3), "profile"]
    assert store.requests.submit([target(5)], force=True) == ["quarantined"]
    assert {found.name for found in store.quarantine.records()} == {target(1), target(2), target(3), "profile"}


def test_a_task_whose_name_begins_alike_is_another(warmer, store):
    warmer.register(profile(task_id="profile-2", cache_key="other:{n}"))
    crash(store, target(1), times=3)
    crash(store, target(2), times=3)
    other = 'profile-2{"n":1}'
    assert crash(store, other, times=3) == [other]


def test_what_was_ready_of_a_task_that_is_quarantined_is_not_computed(store):
    store.targets.reschedule(target(8), 1)
    store.refreshes.tick()
    store.requests.submit([target(7)], force=True, watcher="me", watch_s=60)
    store.targets.reschedule(target(9), 1)
    for number in (1, 2, 3):
        crash(store, target(number), times=3)
    assert refs(claim(store, 9)) == []
    assert store.requests.next_outcome("me", 1)["result"] == "failed", "who waits is told"
    assert what_is_left(store) == {}
    assert store.targets.backlog() == 0


def test_what_is_claimed_of_a_task_that_is_quarantined_meanwhile_is_not_computed_again(store):
    store.requests.submit([target(8)], force=False)
    held = claim_it(store, target(8))
    store.requests.submit([target(8)], force=True, watcher="me", watch_s=60)
    for number in (1, 2, 3):
        crash(store, target(number), times=3)
    complete(store, outcome(target(8), held.token, ("in", 0)))
    assert refs(claim(store, 9)) == []
    assert store.requests.next_outcome("me", 1) is not None, "who waits is told"
    assert what_is_left(store) == {}


def test_who_waits_is_told_that_it_failed(store):
    crash(store, target(1), times=2)
    store.requests.submit([target(1)], force=True, watcher="me", watch_s=60)
    crash(store, target(1))
    told = store.requests.next_outcome("me", 1)
    assert (told["result"], told["error"]) == ("failed", "signal 11")


def test_who_forces_it_during_its_last_computation_is_told_too(store):
    crash(store, target(1), times=2)
    store.requests.submit([target(1)], force=True)
    batch = claim_it(store, target(1))
    store.requests.submit([target(1)], force=True, watcher="me", watch_s=60)
    store.refreshes.complete([outcome(target(1), batch.token, ("in", 0), Result.CRASHED, error="signal 11")])
    assert store.requests.next_outcome("me", 1)["result"] == "failed"
    assert refs(claim(store, 9)) == []
    assert what_is_left(store) == {}


def test_what_is_quarantined_is_left_alone_by_everybody(warmer, store):
    warmer.register(plain())
    assert crash(store, "t", times=3) == ["t"]
    assert store.requests.submit(["t"], force=True) == store.requests.submit(["t"], force=False) == ["quarantined"]
    assert store.refreshes.reconcile() == 0
    assert store.targets.reschedule("t", 1) is False
    warmer.register(plain())  # the same again
    store.reads.flush("reader", 1, [("t", "", 500, 0, [], 0, 0, 0)])
    warmer.optimize()
    complete(store, outcome("t", "", ("in", 0), origin="miss"))
    store.refreshes.tick()
    assert refs(claim(store, 9)) == []
    assert [found.name for found in store.quarantine.records()] == ["t"]


def test_readers_go_on_computing_what_is_quarantined(warmer, store):
    warmer.register(plain())
    crash(store, "t", times=3)
    assert warmer.get_or_compute("k", lambda: "computed", ttl=60) == "computed"
    assert warmer.get("k") == "computed"


def test_a_changed_definition_is_tried_again(warmer, store):
    warmer.register(plain())
    crash(store, "t", times=3)
    warmer.register(plain(ttl=50))
    assert store.quarantine.records() == []
    (found,) = claim_it(store, "t").claims
    assert (found.deaths, found.failures) == (0, 0)


def test_a_changed_definition_lets_all_targets_of_the_task_go(warmer, store):
    for number in (1, 2, 3):
        crash(store, target(number), times=3)
    warmer.register(profile(ttl=50))
    assert store.quarantine.records() == []
    assert store.requests.submit([target(1), target(9)], force=True) == ["asked", "asked"]
    assert sorted(refs(claim(store, 9))) == [target(1), target(9)]


def test_a_task_that_is_unregistered_takes_its_quarantine_along(warmer, store):
    crash(store, target(1), times=3)
    crash(store, target(2))
    warmer.unregister("profile")
    let_all_be_due(store)
    claim(store, 9)
    assert store.quarantine.records() == []
    assert what_is_left(store) == {}


def test_a_task_that_is_replaced_takes_its_quarantine_along(warmer, store):
    crash(store, target(1), times=3)
    warmer.register(profile(task_id="new"), replace=True)
    assert store.quarantine.records() == []


def test_a_target_that_is_let_go_is_due_at_once_and_unsuspected(store):
    crash(store, target(1), times=3)
    assert store.quarantine.release(target(1)) == [target(1)]
    assert store.quarantine.records() == []
    (found,) = claim(store, 9).claims
    assert (found.ref, found.deaths, found.failures) == (target(1), 0, 0)


def test_a_task_that_is_let_go_lets_all_its_targets_go(store):
    for number in (1, 2, 3):
        crash(store, target(number), times=3)
    assert set(store.quarantine.release("profile")) == {target(1), target(2), target(3), "profile"}
    assert sorted(refs(claim(store, 9))) == [target(1), target(2), target(3)], "and not the template itself"


def test_a_target_that_is_let_go_stays_where_it_is_while_its_task_is_quarantined(store):
    for number in (1, 2, 3):
        crash(store, target(number), times=3)
    assert store.quarantine.release(target(1)) == [target(1)]
    assert places_of(store, target(1)) == {}
    assert store.requests.submit([target(1)], force=True) == ["quarantined"]


def test_letting_go_what_is_not_quarantined_does_nothing(store):
    assert store.quarantine.release("nobody") == []
    assert what_is_left(store) == {}
