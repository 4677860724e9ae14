"""What was asked for is what is delivered: forced and changed targets are not served with older values."""

import threading

import pytest

from tests.support.flow import (
    carry_out,
    claim,
    complete,
    let_all_be_due,
    outcome,
    places_of,
    refs,
    server_ms,
    take_one,
    what_is_left,
    work_off,
)
from tests.support.runtimes import runtime_of, store_of
from warmer import TaskConflictError, WarmingTask
from warmer.clock import Clock
from warmer.engine.review_loop import ReviewLoop
from warmer.store import Result
from warmer.tasks.switch import Switch
from warmer_scheduler.tick import Ticker


class App:
    """A Warmer whose worker and scheduler are the test."""

    def __init__(self, warmer) -> None:
        self.warmer = warmer
        self.store = store_of(warmer)
        self.calls = 0
        warmer.start()

    def compute(self) -> int:
        self.calls += 1
        return self.calls

    def register(self, **values: object) -> None:
        defaults = {"task_id": "t", "cache_key": "k", "compute_fn": self.compute, "critical": True}
        self.warmer.register(WarmingTask(**{**defaults, **values}))

    def work(self) -> list[Result]:
        return work_off(self.warmer)

    def pass_a_millisecond(self) -> None:
        """The grain of the server's time: what happens within one has no order."""
        now_ms = server_ms(self.store)
        while server_ms(self.store) == now_ms:
            pass

    def due_now(self) -> None:
        let_all_be_due(self.store)


@pytest.fixture
def app(warmer) -> App:
    return App(warmer)


def test_a_fresh_value_found_by_hand_does_not_cancel_a_forced_refresh(app):
    app.register()
    app.work()
    app.warmer.warm("t", force=True)
    assert app.warmer.warm_cache("k", app.compute) is True
    assert app.work() == [Result.PUBLISHED]
    assert app.calls == 2


def test_a_fresh_value_found_by_hand_does_not_cancel_a_changed_definition(app):
    app.register()
    app.work()
    app.register(ttl=50)
    assert app.warmer.warm_cache("k", app.compute) is True
    assert app.work() == [Result.PUBLISHED]


def test_a_miss_computed_before_a_forced_refresh_was_asked_for_does_not_cancel_it(app):
    app.register()
    app.work()
    before_ms = server_ms(app.store) - 1000
    app.warmer.warm("t", force=True)
    complete(app.store, outcome("t", "", ("in", 60_000), origin="miss", computed_at_ms=before_ms))
    assert app.work() == [Result.PUBLISHED]


def test_a_value_computed_by_hand_after_it_was_asked_for_will_do(app):
    app.register()
    app.work()
    app.warmer.warm("t", force=True)
    app.pass_a_millisecond()
    assert app.warmer.warm_cache("k", app.compute, force=True) is True
    assert app.work() == []
    assert app.calls == 2


@pytest.mark.parametrize("change", [{"force": True}, {"ttl": 50}])
def test_a_busy_lease_does_not_turn_a_forced_or_changed_refresh_into_any_value(app, change):
    app.register()
    app.work()
    app.store.entries.take_lease("k", "a reader that began before")
    if "ttl" in change:
        app.register(ttl=50)
    else:
        app.warmer.warm("t", force=True)
    assert app.work() == [Result.BUSY]
    app.store.entries.release_lease("k", "a reader that began before")
    app.due_now()
    assert app.work() == [Result.PUBLISHED]
    assert app.calls == 2


def test_a_reader_that_began_before_a_forced_refresh_does_not_answer_it(app):
    app.register()
    app.work()
    lease = app.store.entries.take_lease("k", "a reader")
    app.store.requests.submit(["t"], force=True, watcher="me", watch_s=60)
    assert app.work() == [Result.BUSY]
    app.store.entries.release_lease("k", "a reader")
    complete(app.store, outcome("t", "", ("in", 60_000), origin="miss", computed_at_ms=lease.now_ms))
    assert app.store.requests.next_outcome("me", 0) is None
    app.due_now()
    assert app.work() == [Result.PUBLISHED]
    assert app.store.requests.next_outcome("me", 1)["result"] == "published"


def test_an_outcome_is_told_only_when_it_is_final(app):
    app.register()
    batch = claim(app.store, 1)
    app.store.requests.submit(["t"], force=False, watcher="me", watch_s=60)
    complete(app.store, outcome("t", batch.token, ("in", 0), Result.LOST))
    assert app.store.requests.next_outcome("me", 0) is None
    app.store.refreshes.tick()
    app.work()
    assert app.store.requests.next_outcome("me", 1)["result"] == "published"


def test_every_one_who_waits_is_told_for_as_long_as_the_most_patient(app):
    app.register()
    app.store.requests.submit(["t"], force=False, watcher="patient", watch_s=600)
    app.store.requests.submit(["t"], force=False, watcher="hasty", watch_s=2)
    assert app.store.control.ttl(app.store.keys.watchers + "t") > 500
    app.work()
    results = [app.store.requests.next_outcome(watcher, 1)["result"] for watcher in ("patient", "hasty")]
    assert results == ["published", "published"]


@pytest.mark.parametrize("force", [False, True])
def test_what_was_asked_for_while_claimed_outlives_the_switch_and_the_worker(app, force):
    app.register()
    batch = claim(app.store, 1)
    app.store.requests.submit(["t"], force=force)
    app.warmer.stop()
    app.store.control.zadd(app.store.keys.claims, {"t": 1})  # its worker died
    app.store.refreshes.tick()
    assert batch.token
    assert app.work() == [Result.PUBLISHED]
    assert app.work() == [], "one computation answers both"
    assert app.calls == 1


def test_a_request_for_any_value_does_not_weaken_a_forced_one(app):
    app.register()
    app.work()
    app.warmer.warm("t", force=True)
    app.warmer.warm("t", force=False)
    assert app.work() == [Result.PUBLISHED]


def test_a_request_for_any_value_does_not_weaken_a_forced_one_that_waits_for_its_lease(app):
    app.register()
    app.work()
    app.store.entries.take_lease("k", "a reader")
    app.warmer.warm("t", force=True)
    assert app.work() == [Result.BUSY]
    app.store.entries.release_lease("k", "a reader")
    app.warmer.warm("t", force=False)
    app.due_now()
    assert app.work() == [Result.PUBLISHED]


def test_forcing_a_target_for_which_any_value_would_have_done_computes_it(app, make_warmer):
    app.register()
    make_warmer().get_or_compute("k", lambda: "a stranger's", ttl=60)
    app.warmer.warm("t", force=True)
    assert app.work() == [Result.PUBLISHED]
    assert app.calls == 1


@pytest.mark.parametrize("where", ["claimed", "asked"])
def test_what_was_asked_of_a_target_goes_with_its_task_wherever_it_stands(app, where):
    app.register(task_id="profile", cache_key="user:{user_id}", compute_fn=lambda user_id: 1)
    ref = 'profile{"user_id":1}'
    app.warmer.warm("profile", {"user_id": 1}, force=True)
    batch = claim(app.store, 1)
    app.store.requests.submit([ref], force=True)
    if where == "asked":
        app.store.control.srem(app.store.keys.rerun, ref)
        complete(app.store, outcome(ref, batch.token, ("in", 0), Result.BUSY))
    assert list(places_of(app.store, ref)) == [where]
    app.warmer.unregister("profile")
    if where == "asked":
        assert claim(app.store, 5).claims == ()
    else:
        complete(app.store, outcome(ref, batch.token, ("in", 60_000)))
    assert what_is_left(app.store) == {}


def test_targets_that_come_and_go_leave_nothing_behind(app):
    app.register(task_id="profile", cache_key="user:{user_id}", compute_fn=lambda user_id: 1)
    for number in range(20):
        ref = f'profile{{"user_id":{number}}}'
        app.store.targets.reschedule(ref, server_ms(app.store) + 60_000)
        app.store.targets.reschedule(ref, None)
    app.warmer.warm("profile", {"user_id": 99}, force=True)
    app.warmer.unregister("profile")
    app.store.refreshes.tick()
    assert claim(app.store, 5).claims == ()
    assert what_is_left(app.store) == {}


def test_readers_failures_do_not_lengthen_the_workers_backoff(app):
    app.register()
    for _ in range(5):
        complete(app.store, outcome("t", "", ("in", 60_000), Result.FAILED, origin="miss", error="x"))
    assert claim(app.store, 1).claims[0].failures == 0


def test_the_wait_to_expect_follows_a_longer_one_at_once_and_shorter_ones_slowly(app):
    app.register()
    app.store.control.zadd(app.store.keys.due, {"t": server_ms(app.store) - 10_000})
    app.store.control.zrem(app.store.keys.scheduled_queue + "t", "t")
    app.store.refreshes.tick()
    batch = claim(app.store, 1)
    assert batch.claims[0].queue_wait_s == pytest.approx(10, abs=0.5)
    complete(app.store, outcome("t", batch.token, ("in", 0)))
    app.store.refreshes.tick()
    assert claim(app.store, 1).claims[0].queue_wait_s == pytest.approx(9, abs=0.5)


def test_the_wait_of_one_task_is_not_that_of_another(app):
    app.register()
    app.store.control.zadd(app.store.keys.due, {"t": server_ms(app.store) - 10_000})
    app.store.control.zrem(app.store.keys.scheduled_queue + "t", "t")
    app.store.refreshes.tick()
    claim(app.store, 1)
    app.register(task_id="u", cache_key="u")
    assert claim(app.store, 1).claims[0].queue_wait_s < 1


def test_a_busy_lease_is_all_that_a_scheduled_refresh_needs(app):
    app.register()
    app.work()
    app.due_now()
    app.store.entries.take_lease("k", "a reader")
    assert app.work() == [Result.BUSY]
    app.store.entries.release_lease("k", "a reader")
    app.warmer.warm_cache("k", lambda: "the reader's", force=True)
    assert app.store.refreshes.tick().moved == 0, "the next refresh is that of the reader's value"
    assert app.work() == []


def test_who_forces_a_claimed_target_is_told_of_the_later_computation(app):
    app.register()
    job = take_one(app.warmer)
    app.store.requests.submit(["t"], force=True, watcher="me", watch_s=60)
    assert carry_out(app.warmer, job) is Result.PUBLISHED
    assert app.store.requests.next_outcome("me", 0) is None
    assert app.work() == [Result.PUBLISHED]
    assert app.store.requests.next_outcome("me", 1)["result"] == "published"


def test_forcing_a_claimed_target_counts_even_if_warming_is_switched_off_meanwhile(app):
    app.register()
    job = take_one(app.warmer)
    app.store.requests.submit(["t"], force=True)
    app.warmer.stop()
    assert carry_out(app.warmer, job) is Result.PUBLISHED
    assert app.work() == [Result.PUBLISHED]
    assert app.store.targets.backlog() == 0


def test_a_reader_s_failure_does_not_shorten_a_backoff(app):
    app.register()
    batch = claim(app.store, 1)
    complete(app.store, outcome("t", batch.token, ("in", 200_000), Result.FAILED, error="down"))
    before = app.store.control.zscore(app.store.keys.due, "t")

    def fail() -> None:
        raise OSError("still down")

    with pytest.raises(OSError, match="still down"):
        app.warmer.get_or_compute("k", fail)
    runtime_of(app.warmer).background.tick()
    assert app.store.control.zscore(app.store.keys.due, "t") == before


def test_a_login_is_computed_once_however_often_its_values_are_read(app):
    app.register(task_id="profile", cache_key="user:{user_id}", compute_fn=lambda user_id: app.compute())
    app.warmer.warm_user_data("42")
    app.work()
    for _ in range(500):
        app.warmer.get("user:42")
    runtime_of(app.warmer).background.tick()
    assert list(places_of(app.store, 'profile{"user_id":"42"}')) == ["reviewed"], "its value is fresh"
    assert app.warmer.optimize()["tasks_optimized"] == 0
    assert app.work() == []
    assert app.calls == 1


def test_a_fresh_value_will_do_whichever_process_computed_it(app, make_warmer):
    app.register(task_id="profile", cache_key="user:{user_id}", compute_fn=lambda user_id: app.compute())
    stranger = make_warmer()
    assert stranger.get_or_compute("user:42", lambda: "a stranger's", ttl=60) == "a stranger's"
    app.warmer.warm_user_data("42")
    assert app.work() == [Result.FRESH]
    app.register()
    app.work()
    assert stranger.warm_cache("k", lambda: pytest.fail("computed again")) is True
    assert stranger.warm_cache("k", lambda: "forced", force=True) is True
    app.warmer.get("k")
    runtime_of(app.warmer).background.tick()
    assert "t" in [hot.ref for hot in app.store.reads.hottest(9)[1]], "the value is still known as the task's"


def test_templates_that_differ_in_names_only_are_one_key(app):
    app.register(task_id="one", cache_key="user:{user_id}", compute_fn=lambda user_id: 1)
    with pytest.raises(TaskConflictError, match="'one'"):
        app.register(task_id="two", cache_key="user:{uid}", compute_fn=lambda uid: 2)


def test_a_worker_of_this_process_knows_a_task_by_the_time_it_can_claim_it(app, monkeypatch):
    register = app.store.tasks.register
    known_then = []

    def register_and_look(task, replace):
        known_then.append(runtime_of(app.warmer).registry.get(task.task_id))
        return register(task, replace)

    monkeypatch.setattr(app.store.tasks, "register", register_and_look)
    app.register()
    assert known_then[0].task_id == "t"


def test_tasks_registered_while_an_embedded_worker_runs_are_all_warmed(make_warmer, eventually):
    warmer = make_warmer(threads=True)
    warmer.start()
    for number in range(100):
        warmer.register(WarmingTask(task_id=f"t{number}", cache_key=f"k{number}", compute_fn=lambda: "warm"))
    eventually(lambda: all(warmer.get(f"k{number}") == "warm" for number in range(100)), 20)


def test_what_was_replaced_does_not_come_back_with_an_emptied_redis(own_server, make_warmer):
    app = App(make_warmer(redis_url=own_server.url))
    app.register(task_id="old", cache_key="shared")
    app.warmer.register(WarmingTask(task_id="new", cache_key="shared", compute_fn=app.compute), replace=True)
    own_server.restart_empty()
    runtime_of(app.warmer).background.stop()
    runtime_of(app.warmer).background.tick()
    assert set(app.store.tasks.definitions()) == {"new"}


def test_targets_of_a_template_take_over_a_new_priority(app):
    template = {"task_id": "profile", "cache_key": "user:{user_id}", "compute_fn": lambda user_id: 1}
    app.register(**template, critical=False)
    app.register(task_id="middle", cache_key="middle", priority=40, critical=False)
    app.warmer.warm("profile", {"user_id": 1})
    app.register(**template, priority=45, critical=False)
    assert refs(claim(app.store, 5)) == ['profile{"user_id":1}', "middle"]


def test_a_task_that_becomes_a_template_leaves_its_plain_target_behind(app):
    app.register(task_id="t", cache_key="plain", critical=True)
    app.register(task_id="t", cache_key="user:{user_id}", compute_fn=lambda user_id: 1)
    assert claim(app.store, 5).claims == ()
    assert app.store.control.zcard(app.store.keys.due) == 0
    assert app.store.tasks.critical_ids() == []


def ticker(app) -> Ticker:
    store, settings = app.store, app.warmer.settings
    return Ticker(store, runtime_of(app.warmer).queue, ReviewLoop(store, settings, "a scheduler"), Clock())


def test_reconciling_respects_the_switch(app):
    app.register()
    app.store.control.zrem(app.store.keys.scheduled_queue + "t", "t")
    app.store.switch.set(Switch(on=True, critical=False))
    ticker(app).tick()
    assert app.store.targets.backlog() == 0
    app.store.switch.set(Switch(on=True))
    ticker(app).tick()
    assert app.store.targets.backlog() == 1


def test_reads_by_computations_of_warming_are_no_demand(app):
    app.register(task_id="inner", cache_key="inner", compute_fn=lambda: 1)
    app.register(task_id="outer", cache_key="outer", compute_fn=lambda: app.warmer.get("inner"))
    app.work()
    app.warmer.warm("outer", force=True)
    app.work()
    runtime_of(app.warmer).background.tick()
    assert app.store.reads.hottest(5)[1] == []
    assert app.store.stats.totals().get("hits", 0) == 0


def test_parts_are_made_once_however_many_threads_come(make_warmer):
    for _ in range(10):
        warmer = make_warmer()
        barrier, found = threading.Barrier(8), []

        def reach(warmer=warmer, barrier=barrier, found=found) -> None:
            barrier.wait()
            found.append(id(runtime_of(warmer).background))

        threads = [threading.Thread(target=reach) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(found)) == 1
