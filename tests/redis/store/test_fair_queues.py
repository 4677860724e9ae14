"""Who is claimed when: tasks take turns, what starves gets its share, and limits hold whatever becomes of a task."""

from collections import Counter
from collections.abc import Iterable

import pytest

from tests.support.flow import claim, complete, outcome, places_of, refs, server_ms, what_is_left
from tests.support.runtimes import store_of
from warmer import Limit, WarmingTask
from warmer.store import Capacity, Result

LONG_AGO_MS = 1_600_000_000_000


@pytest.fixture
def store(warmer):
    warmer.start()
    return store_of(warmer)


def add_task(store, *task_ids: str, needs: str = "0 o t 1 0 60000 f ") -> None:
    """What registering leaves behind for the flow, for thousands of tasks at once."""
    for task_id in task_ids:
        store.control.hset(store.keys.task_specs, task_id, needs)
        store.control.hset(store.keys.definitions, task_id, "{}")


def targets(task_id: str, count: int) -> list[str]:
    return [f'{task_id}{{"n":{number}}}' for number in range(count)]


def make_ready(store, wanted: Iterable[str], since_ms: int | None = None) -> None:
    """Let targets be ready by schedule, each a millisecond later than the one before; not long enough to starve."""
    found = list(wanted)
    since_ms = server_ms(store) - 30_000 if since_ms is None else since_ms
    for first in range(0, len(found), 5000):
        part = found[first : first + 5000]
        store.control.zadd(store.keys.due, {ref: since_ms + first + number for number, ref in enumerate(part)})
    while store.refreshes.tick().more:
        pass


def shares(batch) -> dict[str, int]:
    """How many targets of each task were claimed."""
    return dict(Counter(ref.partition("{")[0] for ref in refs(batch)))


def limit(store, name: str, **values: float) -> None:
    store.control.hset(store.keys.limits, name, Limit(**values).to_json())


def commands(store) -> int:
    """How many commands the server has carried out, those of scripts among them."""
    return sum(one["calls"] for one in store.control.info("commandstats").values())


# --- turns ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("places", [Capacity(threads=9), Capacity(threads=9, loop=300, processes=2)])
def test_tasks_of_one_priority_share_a_claim_evenly(store, places):
    add_task(store, "a", "b", "c")
    for task_id in ("a", "b", "c"):
        make_ready(store, targets(task_id, 50))
    assert shares(store.refreshes.claim(places)) == {"a": 3, "b": 3, "c": 3}


def test_tasks_of_one_priority_take_turns_over_many_claims(store):
    add_task(store, "a", "b", "c")
    for task_id in ("a", "b", "c"):
        make_ready(store, targets(task_id, 5))
    claimed = [refs(claim(store, 1))[0].partition("{")[0] for _ in range(9)]
    assert claimed == ["a", "b", "c"] * 3


def test_what_others_leave_is_claimed_by_who_can_use_it(store):
    add_task(store, "many", "few")
    make_ready(store, targets("few", 2))
    make_ready(store, targets("many", 50))
    assert shares(claim(store, 20)) == {"many": 18, "few": 2}


def test_a_flood_of_one_task_delays_another_by_no_more_than_its_turn(store):
    add_task(store, "flood", "other")
    make_ready(store, targets("flood", 20_000))
    assert shares(claim(store, 8)) == {"flood": 8}
    make_ready(store, ["other"], server_ms(store) - 10)
    assert shares(claim(store, 2)) == {"flood": 1, "other": 1}


def test_a_lower_priority_waits_for_every_target_of_a_higher_one(store):
    add_task(store, "high", needs="7 o t 1 0 60000 f ")
    add_task(store, "low", needs="6 o t 1 0 60000 f ")
    make_ready(store, targets("low", 5))
    make_ready(store, targets("high", 30))
    assert shares(claim(store, 20)) == {"high": 20}
    assert shares(claim(store, 20)) == {"high": 10, "low": 5}


def test_batches_count_as_one_computation_each(store):
    add_task(store, "batched", needs="0 o t 10 0 60000 f ")
    add_task(store, "single")
    make_ready(store, targets("batched", 100))
    make_ready(store, targets("single", 100))
    batch = claim(store, 4)
    assert shares(batch) == {"batched": 20, "single": 2}
    assert refs(batch)[:20] == targets("batched", 20), "those of one batch stand together"


def test_a_batch_that_is_not_full_waits_for_more_but_not_for_ever(store):
    add_task(store, "batched", needs="0 o t 10 60000 60000 f ")
    make_ready(store, targets("batched", 14))
    assert refs(claim(store, 5)) == targets("batched", 10)
    waiting = claim(store, 5)
    assert (refs(waiting), waiting.blocked) == ([], 1)
    store.control.zadd(store.keys.scheduled_queue + "batched", {targets("batched", 14)[10]: server_ms(store) - 60_001})
    assert refs(claim(store, 5)) == targets("batched", 14)[10:]


# --- kinds ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("places", "wanted"),
    [
        (Capacity(threads=9), {"thread": 2}),
        (Capacity(loop=9), {"loop": 2}),
        (Capacity(processes=9), {"process": 2}),
        (Capacity(loop=1, processes=9), {"loop": 1, "process": 2}),
        (Capacity(), {}),
    ],
)
def test_places_of_one_kind_are_for_tasks_of_that_kind(store, places, wanted):
    for priority, (task_id, kind) in enumerate([("thread", "t"), ("loop", "l"), ("process", "p")]):
        add_task(store, task_id, needs=f"{priority} o {kind} 1 0 60000 f ")
        make_ready(store, targets(task_id, 2))
    assert shares(store.refreshes.claim(places)) == wanted


def test_the_kind_follows_from_how_a_task_is_declared(warmer, store):
    async def on_the_loop() -> int:
        return 1

    def register(task_id: str, **values: object) -> None:
        warmer.register(WarmingTask(**{"task_id": task_id, "cache_key": task_id, "compute_fn": lambda: 1, **values}))

    register("thread")
    register("loop", compute_fn=on_the_loop)
    store.tasks.register(
        WarmingTask(task_id="process", cache_key="p", compute_fn=dict, isolation="process"), replace=False
    )
    assert refs(store.refreshes.claim(Capacity(loop=5))) == ["loop"]
    assert refs(store.refreshes.claim(Capacity(processes=5))) == ["process"]
    assert refs(store.refreshes.claim(Capacity(threads=5))) == ["thread"]


# --- what starves ---------------------------------------------------------------------------------------------------
def starving(make_warmer, starvation_s: float, high: str = "9 o t 1 0 60000 f ", low: str = "1 o t 1 0 60000 f "):
    warmer = make_warmer(starvation_s=starvation_s)
    warmer.start()
    add_task(store_of(warmer), "high", needs=high)
    add_task(store_of(warmer), "low", needs=low)
    return store_of(warmer)


def test_what_has_starved_gets_one_claim_in_eight(make_warmer):
    store = starving(make_warmer, 60.0)
    make_ready(store, targets("low", 50), LONG_AGO_MS)
    make_ready(store, targets("high", 500))
    claimed = [refs(claim(store, 1))[0].partition("{")[0] for _ in range(80)]
    assert Counter(claimed) == {"high": 70, "low": 10}
    assert all("low" in claimed[first : first + 8] for first in range(0, 80, 8)), "and not all of them at the end"


def test_what_has_not_waited_long_enough_does_not_starve(make_warmer):
    store = starving(make_warmer, 60.0)
    make_ready(store, targets("low", 50), server_ms(store) - 50_000)
    make_ready(store, targets("high", 500))
    assert shares(claim(store, 80)) == {"high": 80}


def test_starvation_of_0_leaves_priorities_strict(make_warmer):
    store = starving(make_warmer, 0.0)
    make_ready(store, targets("low", 50), LONG_AGO_MS)
    make_ready(store, targets("high", 500))
    assert shares(claim(store, 80)) == {"high": 80}


@pytest.mark.parametrize("size", [7, 8, 10, 16, 100])
def test_what_starves_behind_batches_gets_one_of_eight_computations(make_warmer, size):
    store = starving(make_warmer, 60.0, high=f"9 o t {size} 0 60000 f ")
    make_ready(store, targets("low", 50), LONG_AGO_MS)
    make_ready(store, targets("high", 80 * size))
    claimed = [refs(claim(store, 1))[0].partition("{")[0] for _ in range(32)]
    assert Counter(claimed) == {"high": 28, "low": 4}


def test_many_that_starve_share_one_claim_in_eight_whatever_other_places_are_free(make_warmer):
    store = starving(make_warmer, 60.0)
    names = [f"low-{number}" for number in range(30)]
    add_task(store, *names)
    for name in names:
        make_ready(store, targets(name, 3), LONG_AGO_MS)
    make_ready(store, targets("high", 500))
    got: Counter[str] = Counter()
    for _ in range(8):
        got.update(shares(store.refreshes.claim(Capacity(threads=8, loop=300, processes=4))))
    assert got["high"] in (56, 57), "a starved one has its turn after each seven others"


@pytest.mark.parametrize("obstacle", ["unknown", "limit"])
def test_what_starves_and_cannot_be_claimed_does_not_cost_others_their_share(make_warmer, obstacle):
    store = starving(make_warmer, 60.0)
    add_task(store, "stuck", needs="1 o t 1 0 60000 f full")
    limit(store, "full", concurrency=1)
    make_ready(store, targets("stuck", 2), LONG_AGO_MS - 10_000)
    assert refs(store.refreshes.claim(Capacity(threads=1))) == targets("stuck", 1)
    make_ready(store, targets("low", 50), LONG_AGO_MS)
    make_ready(store, targets("high", 500))
    unknown = ["stuck"] if obstacle == "unknown" else []
    claimed = [refs(claim(store, 1, unknown))[0].partition("{")[0] for _ in range(16)]
    assert Counter(claimed) == {"high": 14, "low": 2}


# --- limits ---------------------------------------------------------------------------------------------------------
def test_a_limit_holds_over_claims_until_something_ends(store):
    limit(store, "db", concurrency=2, reserved=0)
    add_task(store, "a", "b", needs="0 o t 1 0 60000 f db")
    for task_id in ("a", "b"):
        make_ready(store, targets(task_id, 5))
    first = claim(store, 5)
    assert len(first.claims) == 2
    blocked = claim(store, 5)
    assert refs(blocked) == []
    assert blocked.blocked > 0
    complete(store, outcome(refs(first)[0], first.token, ("never", 0)))
    assert len(claim(store, 5).claims) == 1


def test_tasks_share_evenly_what_a_limit_leaves(store):
    limit(store, "db", concurrency=4, reserved=0)
    add_task(store, "a", "b", needs="0 o t 1 0 60000 f db")
    for task_id in ("a", "b"):
        make_ready(store, targets(task_id, 50))
    assert shares(claim(store, 50)) == {"a": 2, "b": 2}


@pytest.mark.parametrize("end", ["give back", "lapse", "tick"])
def test_a_limit_is_free_again_whatever_ends_a_claim(store, end):
    limit(store, "db", concurrency=3, reserved=0)
    add_task(store, "a", needs="0 o t 1 0 60000 f db")
    make_ready(store, targets("a", 5))
    first = claim(store, 5, drain_id="life")
    assert len(first.claims) == 3
    if end == "give back":
        store.refreshes.give_back(refs(first), first.token)
    elif end == "lapse":
        store.refreshes.lapse("life")
    else:
        store.control.zadd(store.keys.claims, dict.fromkeys(refs(first), 1))
        store.refreshes.tick()
    assert refs(claim(store, 5)) == targets("a", 3), "in their old place"


def test_what_a_limit_holds_up_does_not_hold_up_others(store):
    limit(store, "db", concurrency=1, reserved=0)
    add_task(store, "limited", needs="9 o t 1 0 60000 f db")
    add_task(store, "free", needs="0 o t 1 0 60000 f ")
    make_ready(store, targets("limited", 5))
    make_ready(store, targets("free", 5))
    assert shares(claim(store, 3)) == {"limited": 1, "free": 2}


def test_a_reserve_is_for_critical_tasks_only(store):
    limit(store, "db", concurrency=4, reserved=0.5)
    add_task(store, "ordinary", needs="9 o t 1 0 60000 f db")
    add_task(store, "critical", needs="0 c t 1 0 60000 f db")
    make_ready(store, targets("ordinary", 9))
    assert shares(claim(store, 9)) == {"ordinary": 2}
    make_ready(store, targets("critical", 9))
    assert shares(claim(store, 9)) == {"critical": 2}


def test_what_is_asked_for_keeps_to_limits_too(store):
    limit(store, "db", concurrency=2, reserved=0)
    add_task(store, "a", needs="0 o t 1 0 60000 f db")
    make_ready(store, targets("a", 4))
    store.requests.submit(targets("a", 2), force=True)
    assert len(claim(store, 9).claims) == 2


def test_a_batch_takes_one_slot_of_a_limit(store):
    limit(store, "db", concurrency=2, reserved=0)
    add_task(store, "a", needs="0 o t 10 0 60000 f db")
    make_ready(store, targets("a", 50))
    first = claim(store, 9)
    assert len(first.claims) == 20
    complete(store, *(outcome(ref, first.token, ("never", 0)) for ref in refs(first)[:10]))
    assert refs(claim(store, 9)) == targets("a", 30)[20:]


def test_a_batch_keeps_its_slot_until_its_last_target_has_ended(store):
    limit(store, "db", concurrency=1, reserved=0)
    add_task(store, "a", needs="0 o t 10 0 60000 f db")
    make_ready(store, targets("a", 50))
    first = claim(store, 9)
    assert len(first.claims) == 10
    fresh = [outcome(ref, first.token, ("never", 0), Result.FRESH) for ref in refs(first)[:3]]
    complete(store, *fresh)  # a reader had computed them meanwhile
    assert refs(claim(store, 9)) == [], "seven targets of the batch are still computed"
    complete(store, *(outcome(ref, first.token, ("never", 0)) for ref in refs(first)[3:]))
    assert len(claim(store, 9).claims) == 10


def test_what_is_renewed_keeps_its_slot(make_warmer):
    warmer = make_warmer(claim_timeout_s=0.5)
    warmer.start()
    store = store_of(warmer)
    limit(store, "db", concurrency=1, reserved=0)
    add_task(store, "a", needs="0 o t 1 0 60000 f db")
    make_ready(store, targets("a", 2))
    held = claim(store, 1)
    name = store.keys.limit_holders + "db"
    store.control.zadd(name, {refs(held)[0]: server_ms(store) + 5})
    store.refreshes.renew_claims(held.token, refs(held))
    assert store.control.zscore(name, refs(held)[0]) > server_ms(store) + 100


@pytest.mark.parametrize("count", [1, 8])
def test_a_limit_that_nobody_declared_lets_one_through(store, count):
    add_task(store, "a", needs="0 o t 1 0 60000 f nobody-knows")
    make_ready(store, targets("a", 9))
    assert len(claim(store, count).claims) == 1
    assert refs(claim(store, count)) == []


# --- tasks that come, go and change ---------------------------------------------------------------------------------
def by_number(n: int) -> int:
    return n


def profile(**values: object) -> WarmingTask:
    defaults = {"task_id": "profile", "cache_key": "user:{n}", "compute_fn": by_number}
    return WarmingTask(**{**defaults, **values})


@pytest.mark.parametrize("end", ["unregister", "disable", "replace"])
def test_what_is_ready_of_a_task_that_is_gone_is_dropped_and_told(warmer, store, end):
    warmer.register(profile())
    make_ready(store, targets("profile", 300))
    store.requests.submit(targets("profile", 100), force=True, watcher="me", watch_s=60)
    if end == "unregister":
        warmer.unregister("profile")
    elif end == "disable":
        warmer.register(profile(enabled=False))
    else:
        warmer.register(profile(task_id="other"), replace=True)
    for _ in range(10):
        assert refs(claim(store, 50)) == []
    assert store.targets.backlog() == 0
    assert what_is_left(store) == {}
    assert [told["result"] for told in store.requests.next_outcomes("me", 200, 1)] == ["failed"] * 100
    assert int(store.control.hget(store.keys.queue_counters, "on_demand")) == 0


def test_dropping_what_is_gone_takes_as_long_as_many_claims(warmer, store):
    warmer.register(profile())
    make_ready(store, targets("profile", 5000))
    warmer.unregister("profile")
    before = commands(store)
    claim(store, 50)
    assert commands(store) - before < 3000, "one claim does not drop them all, which would hold Redis up"


@pytest.mark.parametrize(
    "needs",
    [{}, {"priority": 9}, {"limit": "db"}, {"isolation": "process"}],
    ids=lambda needs: "".join(needs) or "same",
)
def test_a_task_that_is_registered_again_finds_what_was_ready_once(warmer, store, needs):
    limit(store, "db", concurrency=100, reserved=0)
    store.tasks.register(profile(), replace=False)
    make_ready(store, targets("profile", 40))
    store.requests.submit(targets("profile", 10), force=False)
    store.tasks.unregister("profile")
    store.tasks.register(profile(**needs), replace=False)
    assert store.targets.backlog() == 40
    assert store.refreshes.tick().ready == 40
    batch = store.refreshes.claim(Capacity(threads=100, processes=100))
    assert sorted(refs(batch)) == sorted(targets("profile", 40))
    store.refreshes.claim(Capacity(threads=100, processes=100))
    assert store.control.smembers(store.keys.fair_queues) == set(), "no empty queue is left behind"


def test_a_new_priority_holds_for_all_that_is_ready_at_once(warmer, store):
    warmer.register(profile(priority=1))
    add_task(store, "middle", needs="5 o t 1 0 60000 f ")
    make_ready(store, targets("profile", 1000))
    store.requests.submit(targets("profile", 10), force=False)
    make_ready(store, targets("middle", 30))
    assert shares(claim(store, 10)) == {"middle": 10}
    before = commands(store)
    warmer.register(profile(priority=9))
    assert commands(store) - before < 200, "it does not cost more where more is ready"
    assert shares(claim(store, 10)) == {"profile": 10}
    warmer.register(profile(priority=1))
    assert shares(claim(store, 10)) == {"middle": 10}
    assert store.targets.backlog() == 1000


@pytest.mark.parametrize("end", ["unregister", "disable"])
def test_a_task_that_comes_back_with_another_priority_has_it(warmer, store, end):
    warmer.register(profile(priority=1))
    add_task(store, "middle", needs="5 o t 1 0 60000 f ")
    make_ready(store, targets("profile", 20))
    make_ready(store, targets("middle", 20))
    if end == "unregister":
        warmer.unregister("profile")
    else:
        warmer.register(profile(priority=1, enabled=False))
    warmer.register(profile(priority=9))
    assert shares(claim(store, 10)) == {"profile": 10}


def test_a_new_kind_holds_for_all_that_is_ready_at_once(store):
    store.tasks.register(profile(), replace=False)
    make_ready(store, targets("profile", 1000))
    store.requests.submit(targets("profile", 10), force=False)
    store.tasks.register(profile(isolation="process"), replace=False)
    assert refs(store.refreshes.claim(Capacity(threads=50, loop=50))) == []
    assert len(store.refreshes.claim(Capacity(processes=50)).claims) == 50
    assert store.targets.backlog() == 950


def test_a_new_limit_holds_for_all_that_is_ready_at_once(warmer, store):
    limit(store, "db", concurrency=3, reserved=0)
    warmer.register(profile())
    make_ready(store, targets("profile", 1000))
    store.requests.submit(targets("profile", 10), force=False)
    warmer.register(profile(limit="db"))
    assert len(claim(store, 50).claims) == 3
    warmer.register(profile())
    assert len(claim(store, 50).claims) == 50


def test_a_slot_is_given_back_when_the_limit_changed_in_the_middle(warmer, store):
    limit(store, "db", concurrency=1, reserved=0)
    warmer.register(profile(limit="db"))
    add_task(store, "other", needs="0 o t 1 0 60000 f db")
    make_ready(store, targets("profile", 1))
    batch = claim(store, 1)
    warmer.register(profile(limit=None))
    complete(store, outcome(refs(batch)[0], batch.token, ("never", 0)))
    make_ready(store, targets("other", 1))
    assert refs(claim(store, 1)) == targets("other", 1)


# --- asked for ------------------------------------------------------------------------------------------------------
def test_a_target_that_is_ready_and_asked_for_stands_in_one_queue_and_is_claimed_once(store):
    add_task(store, "a")
    make_ready(store, targets("a", 3))
    store.requests.submit(targets("a", 2), force=False)
    assert [list(places_of(store, ref)) for ref in targets("a", 3)] == [["asked"], ["asked"], ["ready"]]
    assert store.targets.backlog() == 3
    assert sorted(refs(claim(store, 9))) == targets("a", 3)
    assert store.targets.backlog() == 0


def test_what_is_asked_for_takes_turns_with_what_is_due(store):
    add_task(store, "a")
    make_ready(store, targets("a", 50))
    store.requests.submit(targets("a", 50)[40:], force=False)
    got = refs(claim(store, 10))
    assert len(set(got) & set(targets("a", 50)[40:])) == 5


def test_what_waits_for_anothers_computation_is_not_claimed_before_its_time(store):
    add_task(store, "a")
    store.requests.submit(["a"], force=True)
    batch = claim(store, 1)
    complete(store, outcome("a", batch.token, ("in", 60_000), Result.BUSY))
    waiting = claim(store, 1)
    assert (refs(waiting), list(places_of(store, "a"))) == ([], ["asked"])
    store.requests.submit(["a"], force=False)
    assert refs(claim(store, 1)) == []
    store.control.zadd(store.keys.on_demand_queue + "a", {"a": server_ms(store)})
    assert refs(claim(store, 1)) == ["a"]


def test_no_more_can_be_asked_for_than_there_is_room_for(make_warmer):
    warmer = make_warmer(backlog_capacity=10)
    warmer.start()
    store = store_of(warmer)
    add_task(store, "a")
    asked = targets("a", 14)
    assert store.requests.submit(asked[:12], force=False) == ["asked"] * 10 + ["full"] * 2
    assert places_of(store, asked[10]) == {}
    assert store.requests.submit(asked[:3], force=True) == ["asked"] * 3, "they wait already"
    assert store.requests.submit(asked[12:], force=True, watcher="me") == ["full"] * 2
    assert what_is_left(store).keys().isdisjoint({store.keys.watchers + ref for ref in asked[12:]})
    assert len(claim(store, 4).claims) == 4
    assert store.requests.submit(asked[9:], force=False) == ["asked"] * 5
    assert store.requests.submit(["a"], force=True) == ["full"]


def test_what_is_claimed_can_be_asked_for_when_nothing_else_can(make_warmer):
    warmer = make_warmer(backlog_capacity=1)
    warmer.start()
    add_task(store_of(warmer), "a", "b")
    make_ready(store_of(warmer), ["a"])
    claim(store_of(warmer), 1)
    assert store_of(warmer).requests.submit(["b", "a"], force=False) == ["asked", "asked"]


# --- withdrawn ------------------------------------------------------------------------------------------------------
def test_what_nobody_else_waits_for_is_taken_back(store):
    add_task(store, "a")
    store.requests.submit(targets("a", 3), force=True, watcher="me")
    store.requests.submit(targets("a", 1), force=True, watcher="another")
    store.requests.withdraw(targets("a", 3), "me")
    assert refs(claim(store, 9)) == targets("a", 1)
    assert int(store.control.hget(store.keys.queue_counters, "on_demand")) == 0


def test_what_is_begun_is_not_taken_back(store):
    add_task(store, "a")
    store.requests.submit(["a"], force=True, watcher="me", watch_s=60)
    batch = claim(store, 1)
    store.requests.withdraw(["a"], "me")
    assert complete(store, outcome("a", batch.token, ("never", 0)))
    assert what_is_left(store) == {}


def test_nobody_takes_back_what_others_asked_for(store):
    add_task(store, "a")
    store.requests.submit(["a"], force=True)
    store.requests.withdraw(["a"], "somebody who never asked")
    assert refs(claim(store, 1)) == ["a"]


def test_what_is_due_by_its_reads_is_still_due_after_it_was_taken_back(warmer, store):
    warmer.register(profile())
    ref = targets("profile", 1)[0]
    store.reads.flush("reader", 1, [(ref, "", 500, 0, [], 0, 0, 0)])
    store.targets.reschedule(ref, server_ms(store) + 60_000)
    store.requests.submit([ref], force=True, watcher="me")
    store.requests.withdraw([ref], "me")
    assert list(places_of(store, ref)) == ["due"]
    (found,) = claim(store, 1).claims
    assert (found.ref, found.fresh_ok) == (ref, True)


@pytest.mark.parametrize("critical", [True, False])
def test_what_is_ready_for_the_first_time_is_still_to_be_done_after_it_was_taken_back(warmer, store, critical):
    warmer.register(WarmingTask(task_id="t", cache_key="k", compute_fn=lambda: 1, critical=critical))
    store.requests.submit(["t"], force=False, watcher="me")
    store.requests.withdraw(["t"], "me")
    assert refs(claim(store, 1)) == ["t"]


def test_a_changed_definition_is_still_to_be_computed_after_it_was_taken_back(warmer, store):
    warmer.register(WarmingTask(task_id="t", cache_key="k", compute_fn=lambda: 1, critical=True))
    batch = claim(store, 1)
    complete(store, outcome("t", batch.token, ("in", 60_000)))
    warmer.register(WarmingTask(task_id="t", cache_key="k", compute_fn=lambda: 2, critical=True, ttl=50))
    store.requests.submit(["t"], force=False, watcher="me")
    store.requests.withdraw(["t"], "me")
    (found,) = claim(store, 1).claims
    assert found.fresh_ok is False, "a value of the old definition will not do"


# --- costs ----------------------------------------------------------------------------------------------------------
def cost_of_a_claim(store, **options) -> int:
    claim(store, 1, **options)
    before = commands(store)
    claim(store, 8, **options)
    return commands(store) - before


def test_a_claim_costs_no_more_for_what_a_full_limit_blocks(store):
    limit(store, "db", concurrency=1, reserved=0)
    add_task(store, "first", needs="9 o t 1 0 60000 f db")
    make_ready(store, ["first"])
    assert refs(claim(store, 1)) == ["first"]
    blocked = [f"blocked-{number}" for number in range(5000)]
    add_task(store, *blocked, needs="9 o t 1 0 60000 f db")
    add_task(store, "free")
    make_ready(store, blocked)
    make_ready(store, targets("free", 100))
    assert shares(claim(store, 1)) == {"free": 1}
    assert cost_of_a_claim(store) < 200


def test_a_claim_costs_no_more_for_batches_that_wait_to_be_fuller(store):
    waiting = [f"waiting-{number}" for number in range(2000)]
    add_task(store, *waiting, needs="9 o t 10 60000 60000 f ")
    add_task(store, "free")
    make_ready(store, waiting)
    make_ready(store, targets("free", 100))
    assert shares(claim(store, 1)) == {"free": 1}
    assert cost_of_a_claim(store) < 1000


def test_a_claim_costs_no_more_for_what_is_ready_behind_it(store):
    add_task(store, "many")
    make_ready(store, targets("many", 20))
    few = cost_of_a_claim(store)
    make_ready(store, targets("many", 10_020)[20:])
    assert cost_of_a_claim(store) <= few + 5


def test_a_claim_costs_little_more_for_tasks_that_are_ready_too(store):
    names = [f"t{number}" for number in range(3000)]
    add_task(store, *names)
    make_ready(store, names)
    assert cost_of_a_claim(store) < 300
