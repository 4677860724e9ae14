"""Definitions in Redis: idempotent, changed as a whole, refused without a trace."""

import threading

import pytest

from tests.support.flow import carry_out, claim, places_of, refs, take_one, work_off
from tests.support.runtimes import runtime_of, store_of
from warmer import InvalidTaskError, NotImportableError, TaskConflictError, UnknownTaskError, WarmingTask
from warmer.store import Result
from warmer.store.keys import Keys


def load() -> dict[str, int]:
    return {"n": 1}


def task(task_id: str = "catalog", **values: object) -> WarmingTask:
    return WarmingTask(**{"task_id": task_id, "cache_key": f"{task_id}:key", "compute_fn": load, **values})


def keys_of(warmer) -> list[bytes]:
    return sorted(store_of(warmer).control.scan_iter(f"{warmer.settings.namespace}:*"))


def test_definitions_live_in_a_sorted_set_by_priority_and_one_record_each(warmer):
    warmer.register(task("low", priority=1))
    warmer.register(task("high", priority=100))
    keys = Keys(warmer.settings.namespace)
    assert store_of(warmer).control.zrange(keys.tasks, 0, -1, withscores=True) == [(b"low", 1.0), (b"high", 100.0)]
    assert set(store_of(warmer).tasks.definitions()) == {"low", "high"}
    assert store_of(warmer).tasks.definitions()["high"]["compute"].endswith(":load")


def test_registering_the_same_again_changes_nothing(warmer, make_warmer):
    assert warmer.register(task(priority=3)) == "registered"
    warmer.start()
    before = places_of(store_of(warmer), "catalog")
    assert make_warmer().register(task(priority=3)) == "unchanged"
    assert places_of(store_of(warmer), "catalog") == before
    assert list(before) == ["ready"]


def test_many_processes_registering_at_once_register_once(make_warmer):
    warmers = [make_warmer() for _ in range(8)]
    statuses: list[str] = []
    threads = [threading.Thread(target=lambda w=w: statuses.append(w.register(task()))) for w in warmers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == ["registered"] + ["unchanged"] * 7
    assert store_of(warmers[0]).control.zcard(store_of(warmers[0]).keys.due) == 1


def test_a_changed_definition_takes_effect_and_is_due_at_once(warmer):
    warmer.register(task(priority=3))
    later_ms = 4_000_000_000_000
    assert store_of(warmer).targets.reschedule("catalog", later_ms)
    assert warmer.register(task(priority=7, ttl=5)) == "changed"
    assert store_of(warmer).tasks.definitions()["catalog"]["ttl"] == 5
    assert store_of(warmer).control.zscore(store_of(warmer).keys.tasks, "catalog") == 7
    assert store_of(warmer).control.zscore(store_of(warmer).keys.due, "catalog") < later_ms


def test_a_changed_cache_key_frees_the_old_one(warmer):
    warmer.register(task())
    warmer.register(task(cache_key="moved"))
    assert warmer.register(task("other", cache_key="catalog:key")) == "registered"


def test_disabling_takes_a_task_out_of_the_flow(warmer):
    warmer.start()
    warmer.register_critical(task())
    assert store_of(warmer).targets.backlog() == 1
    warmer.register_critical(task(enabled=False))
    assert store_of(warmer).targets.backlog() == 0
    assert store_of(warmer).tasks.critical_ids() == []
    assert warmer.stats()["task_details"][0]["enabled"] is False


def test_two_enabled_tasks_cannot_own_one_cache_key(warmer):
    warmer.register(task("first", cache_key="shared"))
    before = keys_of(warmer)
    with pytest.raises(TaskConflictError) as refused:
        warmer.register(task("second", cache_key="shared"))
    assert "unregister_warming_task('first')" in str(refused.value)
    assert "replace=True" in str(refused.value)
    assert keys_of(warmer) == before
    assert runtime_of(warmer).registry.get("second") is None


def test_replace_unregisters_the_other_owner(warmer):
    warmer.register(task("first", cache_key="shared"))
    assert warmer.register(task("second", cache_key="shared"), replace=True) == "registered"
    assert set(store_of(warmer).tasks.definitions()) == {"second"}


def test_a_refused_task_leaves_the_real_owner_known(warmer):
    warmer.register(task("first", cache_key="shared"))
    with pytest.raises(TaskConflictError):
        warmer.register(task("second", cache_key="shared"))
    assert runtime_of(warmer).registry.owner("shared").task_id == "first"


def test_what_was_replaced_is_gone_from_every_index(warmer):
    warmer.start()
    warmer.register_critical(task("first", cache_key="shared"))
    assert work_off(warmer) == [Result.PUBLISHED]
    warmer.register(task("second", cache_key="shared"), replace=True)
    assert not [key for key in keys_of(warmer) if key.endswith(b":first")]
    assert store_of(warmer).control.zscore(store_of(warmer).keys.tasks, "first") is None
    assert store_of(warmer).control.zscore(store_of(warmer).keys.due, "first") is None
    assert store_of(warmer).tasks.critical_ids() == []
    assert runtime_of(warmer).registry.get("first") is None


def test_a_changed_task_that_is_claimed_is_refreshed_once_more(warmer):
    warmer.start()
    warmer.register(task())
    job = take_one(warmer)
    warmer.register(task(ttl=50))
    assert store_of(warmer).targets.backlog() == 0
    assert carry_out(warmer, job) is Result.PUBLISHED
    assert refs(claim(store_of(warmer), 1)) == ["catalog"]


@pytest.mark.parametrize("end", ["unregister", "disable", "replace"])
def test_those_who_wait_are_told_when_a_task_goes_away(warmer, end):
    warmer.start()
    warmer.register(task())
    job = take_one(warmer)
    store_of(warmer).requests.submit(["catalog"], force=True, watcher="me", watch_s=60)
    if end == "unregister":
        warmer.unregister("catalog")
    elif end == "disable":
        warmer.register(task(enabled=False))
    else:
        warmer.register(task("other", cache_key="catalog:key"), replace=True)
    told = store_of(warmer).requests.next_outcome("me", 1)
    assert (told["result"], told["error"]) == ("failed", "its task was unregistered, replaced or disabled")
    carry_out(warmer, job)
    control, keys = store_of(warmer).control, store_of(warmer).keys
    assert control.zcard(keys.claims) == control.hlen(keys.claim_records) == 0
    for flag in (keys.rerun, keys.must_recompute):
        assert not control.sismember(flag, "catalog")
    assert "asked" not in places_of(store_of(warmer), "catalog")
    assert control.hget(keys.failures, "catalog") is None


def test_a_disabled_task_does_not_own_its_cache_key(warmer):
    warmer.register(task("first", cache_key="shared", enabled=False))
    assert warmer.register(task("second", cache_key="shared")) == "registered"


def test_unregistering_forgets_everything_but_the_value(warmer):
    warmer.start()
    warmer.register_critical(task())
    assert warmer.warm_critical_data()["succeeded"] == 1
    assert warmer.unregister("catalog") is True
    assert warmer.unregister("catalog") is False
    assert warmer.stats()["tasks"] == 0
    assert store_of(warmer).control.zcard(store_of(warmer).keys.due) == 0
    assert warmer.get("catalog:key") == {"n": 1}


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda: 1, "lambda"),
        ("no_such_module:load", "no_such_module"),
        ("json:no_such_function", "no_such_function"),
        ("json:__version__", "expected a function"),
    ],
)
def test_functions_that_workers_cannot_import_are_refused_and_leave_nothing(make_warmer, function, words):
    warmer = make_warmer(embedded=False)
    with pytest.raises(NotImportableError, match=words):
        warmer.register(task(compute_fn=function))
    assert keys_of(warmer) == []


def test_local_functions_are_refused_unless_this_process_warms(make_warmer):
    def local() -> int:
        return 1

    with pytest.raises(NotImportableError, match="a local function"):
        make_warmer(embedded=False).register(task(compute_fn=local))
    assert make_warmer(embedded=True).register(task(compute_fn=local)) == "registered"


def test_local_functions_for_processes_apart_are_refused_even_if_this_process_warms(make_warmer):
    def local() -> int:
        return 1

    warmer = make_warmer(embedded=True)
    with pytest.raises(NotImportableError, match="the processes of isolation='process' cannot import") as refused:
        warmer.register(task(compute_fn=local, isolation="process"))
    assert "isolation='thread'" in str(refused.value)
    assert keys_of(warmer) == []
    assert warmer.register(task(isolation="process")) == "registered"


def test_a_decorated_local_function_for_processes_apart_is_cached_and_not_kept_warm(warmer, caplog):
    @warmer.warmed("squared:{n}", task_id="squared", isolation="process")
    def squared(n: int) -> int:
        return n * n

    assert squared(7) == 49
    runtime_of(warmer).background.tick()
    assert "squared is not kept warm" in caplog.text
    with pytest.raises(NotImportableError, match="isolation='thread'"):
        squared.warm(7)
    assert squared.get(7) == 49


def test_functions_of_the_started_script_are_refused(fleet):
    printed = fleet.python(
        """
        from warmer import NotImportableError, WarmingTask, register_warming_task
        def load(): return 1
        try:
            register_warming_task(WarmingTask(task_id="t", cache_key="k", compute_fn=load))
        except NotImportableError as error:
            print(error)
        """
    )
    assert "__main__" in printed
    assert "WARMER_EMBEDDED=1" in printed


def test_what_is_not_a_task_is_refused(warmer):
    with pytest.raises(InvalidTaskError, match="expected a WarmingTask, got dict"):
        warmer.register({"task_id": "catalog"})
    with pytest.raises(InvalidTaskError, match="expected a WarmingTask"):
        warmer.register_critical("catalog")
    assert keys_of(warmer) == []


def test_warming_by_hand_refuses_what_is_not_there(warmer):
    with pytest.raises(UnknownTaskError, match="not registered"):
        warmer.warm("nothing")
    warmer.register(task(enabled=False))
    with pytest.raises(UnknownTaskError, match="disabled"):
        warmer.warm("catalog")
    warmer.register(task("profile", cache_key="user:{user_id}", compute_fn=lambda user_id: user_id))
    with pytest.raises(InvalidTaskError, match="user_id"):
        warmer.warm("profile")
