"""due -> ready -> claimed -> due: what each script promises, on a real server."""

import pytest

from tests.support.flow import claim, complete, outcome, places_of, refs, server_ms, what_is_left
from tests.support.runtimes import store_of
from warmer import WarmingTask
from warmer.store import Result


def register(warmer, task_id: str, **values: object) -> None:
    defaults = {"task_id": task_id, "cache_key": f"{task_id}:key", "compute_fn": lambda: 1}
    warmer.register(WarmingTask(**{**defaults, **values}))


@pytest.fixture
def running(warmer):
    warmer.start()
    return warmer


def test_claims_go_by_priority_then_by_turn(running):
    for task_id, priority in [("a", 0), ("b", 100), ("c", -7), ("d", 100), ("e", 50)]:
        register(running, task_id, priority=priority)
    register(running, "urgent", priority=4096)
    assert refs(claim(store_of(running), 10)) == ["urgent", "b", "d", "e", "a", "c"]


def test_of_one_task_what_is_due_longest_goes_first(running):
    register(running, "profile", cache_key="user:{user_id}", compute_fn=lambda user_id: 1)
    for user_id, due_ms in [(1, 1_600_000_000_300), (2, 1_600_000_000_100), (3, 1_600_000_000_200)]:
        store_of(running).targets.reschedule(f'profile{{"user_id":{user_id}}}', due_ms)
    assert [(one.ref, one.due_ms) for one in claim(store_of(running), 5).claims] == [
        ('profile{"user_id":2}', 1_600_000_000_100),
        ('profile{"user_id":3}', 1_600_000_000_200),
        ('profile{"user_id":1}', 1_600_000_000_300),
    ]


def test_priority_is_strict_at_the_moment_of_claiming(running):
    for number in range(5):
        register(running, f"low-{number}", priority=1)
    assert refs(claim(store_of(running), 2)) == ["low-0", "low-1"]
    register(running, "high", priority=2)
    assert refs(claim(store_of(running), 2)) == ["high", "low-2"]


def test_a_target_is_claimed_once(running):
    for number in range(20):
        register(running, f"t{number}")
    first, second = claim(store_of(running), 15), claim(store_of(running), 15)
    assert len(first.claims) == 15
    assert len(second.claims) == 5
    assert not set(refs(first)) & set(refs(second))


def test_completing_plans_the_next_refresh(running):
    register(running, "t")
    batch = claim(store_of(running), 1)
    at_ms = batch.now_ms + 60_000
    assert complete(store_of(running), outcome("t", batch.token, ("at", at_ms)))
    assert store_of(running).control.zscore(store_of(running).keys.due, "t") == at_ms
    assert claim(store_of(running), 1).claims == ()
    assert store_of(running).refreshes.tick().ready == 0


def test_completing_with_a_token_that_lost_its_claim_changes_nothing(running):
    register(running, "t")
    batch = claim(store_of(running), 1)
    assert store_of(running).refreshes.give_back(["t"], batch.token) == 1
    again = claim(store_of(running), 1)
    assert refs(again) == ["t"]
    assert complete(store_of(running), outcome("t", batch.token, ("never", 0))) is False
    assert store_of(running).stats.totals().get("warmings") is None
    assert store_of(running).control.zscore(store_of(running).keys.claims, "t") is not None
    assert store_of(running).refreshes.give_back(["t"], batch.token) == 0


def test_a_claim_that_lapses_becomes_ready_again_in_its_old_place(make_warmer):
    running = make_warmer(claim_timeout_s=0.5)
    running.start()
    register(running, "t")
    batch = claim(store_of(running), 1)
    assert store_of(running).refreshes.tick().lapsed == 0
    store_of(running).control.zadd(store_of(running).keys.claims, {"t": batch.now_ms - 1})  # its deadline passes
    assert store_of(running).refreshes.tick().lapsed == 1
    again = claim(store_of(running), 1)
    assert refs(again) == ["t"]
    assert again.claims[0].due_ms == batch.claims[0].due_ms
    assert again.token != batch.token


def test_renewing_extends_what_is_held_and_names_what_is_lost(running):
    register(running, "held")
    register(running, "lost")
    batch = claim(store_of(running), 2)
    store_of(running).refreshes.give_back(["lost"], batch.token)
    before = store_of(running).control.zscore(store_of(running).keys.claims, "held")
    store_of(running).control.zadd(store_of(running).keys.claims, {"held": before - 5_000})
    assert store_of(running).refreshes.renew_claims(batch.token, ["held", "lost"]) == ["lost"]
    assert store_of(running).control.zscore(store_of(running).keys.claims, "held") >= before
    assert store_of(running).control.zscore(store_of(running).keys.claims, "lost") is None


def test_ticks_move_what_is_due_and_any_number_of_them_move_it_once(running):
    register(running, "t")
    batch = claim(store_of(running), 1)
    complete(store_of(running), outcome("t", batch.token, ("in", 0)))
    assert [store_of(running).refreshes.tick().moved for _ in range(3)] == [1, 0, 0]
    assert store_of(running).targets.backlog() == 1


def test_a_tick_moves_a_bounded_number_and_says_that_there_is_more(running):
    for number in range(7):
        store_of(running).control.zadd(store_of(running).keys.due, {f"t{number}": 1_600_000_000_000})
        store_of(running).control.hset(store_of(running).keys.task_specs, f"t{number}", "0 o t 1 0 60000 f ")
    assert [(report.moved, report.more) for report in (store_of(running).refreshes.tick(3) for _ in range(3))] == [
        (3, True),
        (3, True),
        (1, False),
    ]


def test_targets_of_tasks_that_are_gone_are_dropped(running):
    register(running, "gone", cache_key="user:{user_id}", compute_fn=lambda user_id: 1)
    store_of(running).targets.reschedule('gone{"user_id":2}', 1)
    store_of(running).requests.submit(['gone{"user_id":3}'], force=False)
    store_of(running).refreshes.tick()
    store_of(running).targets.reschedule('gone{"user_id":1}', 1)
    assert store_of(running).targets.backlog() == 2
    running.unregister("gone")
    store_of(running).refreshes.tick()
    assert claim(store_of(running), 5).claims == ()
    assert store_of(running).targets.backlog() == 0
    assert what_is_left(store_of(running)) == {}


def test_unknown_tasks_are_left_to_others(running):
    for number in range(250):
        register(running, f"theirs-{number}", priority=9)
    register(running, "ours")
    unknown = {f"theirs-{number}" for number in range(250)}
    assert refs(claim(store_of(running), 5, unknown)) == ["ours"]
    assert len(claim(store_of(running), 300).claims) == 250


def test_switched_off_only_what_was_asked_for_is_claimed(running):
    register(running, "scheduled")
    register(running, "asked")
    running.stop()
    assert claim(store_of(running), 5).claims == ()
    running.warm("asked")
    report = store_of(running).refreshes.tick()
    assert (report.moved, report.ready) == (0, 1)
    assert refs(claim(store_of(running), 5)) == ["asked"]
    assert list(places_of(store_of(running), "scheduled")) == ["ready"], "it stays where it was"
    running.start()
    assert refs(claim(store_of(running), 5)) == ["scheduled"]


def test_switching_is_idempotent_and_for_everyone(running, make_warmer):
    other = make_warmer()
    assert store_of(other).switch.get().on
    other.stop()
    other.stop()
    assert not store_of(running).switch.get().on
    running.start(interval_minutes=5, enable_pattern_warming=False)
    assert store_of(other).switch.get().interval_s == 300
    assert store_of(other).switch.get().pattern is False


def test_a_critical_target_that_stands_nowhere_is_found_again(running):
    register(running, "t", critical=True)
    store_of(running).control.zrem(store_of(running).keys.scheduled_queue + "t", "t")
    assert store_of(running).refreshes.reconcile() == 1
    assert store_of(running).refreshes.reconcile() == 0
    assert store_of(running).refreshes.tick().moved == 1


def test_forcing_a_claimed_target_refreshes_it_once_more(running):
    register(running, "t")
    batch = claim(store_of(running), 1)
    assert store_of(running).requests.submit(["t"], force=True) == ["asked"]
    assert store_of(running).targets.backlog() == 0
    complete(store_of(running), outcome("t", batch.token, ("at", batch.now_ms + 60_000)))
    assert refs(claim(store_of(running), 1)) == ["t"]


def test_ensuring_a_claimed_target_is_served_by_the_claim(running):
    register(running, "t")
    batch = claim(store_of(running), 1)
    store_of(running).requests.submit(["t"], force=False, watcher="me")
    complete(store_of(running), outcome("t", batch.token, ("at", batch.now_ms + 60_000), duration_ms=7.0))
    assert store_of(running).targets.backlog() == 0
    assert store_of(running).requests.next_outcome("me", 1)["duration_ms"] == 7.0


def test_requests_say_what_became_of_each(running):
    register(running, "on")
    register(running, "off", enabled=False)
    assert store_of(running).requests.submit(["on", "off", "none"], force=False) == ["asked", "disabled", "unknown"]


def test_a_reader_that_computed_takes_the_target_out_of_its_queue(running):
    register(running, "t")
    at_ms = server_ms(store_of(running)) + 60_000
    complete(store_of(running), outcome("t", "", ("at", at_ms), origin="miss"))
    assert store_of(running).targets.backlog() == 0
    assert store_of(running).control.zscore(store_of(running).keys.due, "t") == at_ms
    assert store_of(running).stats.totals()["computed_misses"] == 1


def test_a_reader_that_computed_leaves_a_claim_alone(running):
    register(running, "t")
    batch = claim(store_of(running), 1)
    store_of(running).requests.submit(["t"], force=False, watcher="me", watch_s=60)
    complete(store_of(running), outcome("t", "", ("in", 5_000), origin="miss"))
    assert store_of(running).control.zscore(store_of(running).keys.due, "t") is None, "it stands in one place only"
    assert store_of(running).requests.next_outcome("me", 0) is None
    assert complete(store_of(running), outcome("t", batch.token, ("at", batch.now_ms + 9_000)))
    assert store_of(running).control.zscore(store_of(running).keys.due, "t") == batch.now_ms + 9_000


def test_the_compute_p95_and_failures_reach_the_next_claim(running):
    register(running, "t")
    for duration_ms in [10.0] * 18 + [400.0, 900.0]:
        batch = claim(store_of(running), 1)
        complete(store_of(running), outcome("t", batch.token, ("in", 0), duration_ms=duration_ms))
        store_of(running).refreshes.tick()
    batch = claim(store_of(running), 1)
    assert batch.claims[0].compute_p95_s == pytest.approx(0.4)
    complete(store_of(running), outcome("t", batch.token, ("in", 0), Result.FAILED, error="boom"))
    store_of(running).refreshes.tick()
    batch = claim(store_of(running), 1)
    assert batch.claims[0].failures == 1
    complete(store_of(running), outcome("t", batch.token, ("in", 0)))
    store_of(running).refreshes.tick()
    assert claim(store_of(running), 1).claims[0].failures == 0


def test_extreme_priorities_and_times_keep_their_order(running):
    for task_id, priority in [("top", 4096), ("bottom", -4096), ("middle", 0)]:
        register(running, task_id, priority=priority)
    batch = claim(store_of(running), 3)
    assert refs(batch) == ["top", "middle", "bottom"]
    assert all(abs(claim.due_ms - batch.now_ms) < 60_000 for claim in batch.claims)
