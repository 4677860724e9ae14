"""The plan of the coming minutes: its predictions come true, with reasons and capacity; and it changes nothing."""

import json

import pytest
from click.testing import CliRunner

from tests.support.flow import claim, server_ms, work_off
from tests.support.runtimes import store_of
from warmer import InvalidTaskError, UnknownTaskError, WarmingTask
from warmer.cli.main import main
from warmer.planning import snapshot
from warmer.tasks.limit import Limit


def register(warmer, task_id: str, **values: object) -> None:
    given = {"task_id": task_id, "cache_key": task_id, "compute_fn": lambda: 1, "ttl": 60.0, "jitter": 0}
    warmer.register(WarmingTask(**{**given, **values}))


def read(warmer, ref: str, *ages_s: float) -> None:
    """Let a target have been read."""
    now_ms = server_ms(store_of(warmer))
    for age_s in sorted(ages_s, reverse=True):
        read.number += 1
        at_ms = round(now_ms - 1000 * age_s)
        store_of(warmer).reads.flush("reader", read.number, [(ref, "", 1, 0, [], 0, at_ms, at_ms)])


read.number = 0


def review_at(warmer, ref: str, in_s: float) -> None:
    control, keys = store_of(warmer).control, store_of(warmer).keys
    control.zadd(keys.reviews, {ref: server_ms(store_of(warmer)) + round(1000 * in_s)})


def everything(warmer) -> dict[bytes, bytes]:
    control = store_of(warmer).control
    return {key: control.dump(key) for key in control.scan_iter(f"{warmer.settings.namespace}:*")}


def by_ref(plan) -> dict:
    return {target.ref: target for target in plan.targets}


@pytest.fixture
def busy(make_warmer):
    """A fleet with something of everything."""
    warmer = make_warmer(concurrency=4)
    store_of(warmer).limits.declare({"pg": Limit(concurrency=2).to_json()})
    register(warmer, "top", critical=True, priority=100, limit="pg")
    register(warmer, "page", cache_key="page:{n}", compute_fn=lambda n: n)
    register(warmer, "asked")
    store_of(warmer).fleet.worker_beat("worker-1")
    warmer.start()
    work_off(warmer)
    read(warmer, 'page{"n":1}', *range(0, 300, 5))
    read(warmer, 'page{"n":2}', 400)
    review_at(warmer, 'page{"n":1}', 30)
    review_at(warmer, 'page{"n":2}', 40)
    store_of(warmer).requests.submit(["asked"], force=True)
    return warmer


def test_a_plan_shows_targets_times_refreshes_and_reasons(busy):
    plan = busy.plan(60)
    targets = by_ref(plan)
    assert [target.ref for target in plan.targets] == ["asked", 'page{"n":1}', "top", 'page{"n":2}']
    assert targets["asked"].reason == "requested on demand"
    assert targets["asked"].first == plan.now
    assert targets["top"].reason == "critical"
    assert 60 <= targets["top"].refreshes <= 62, "one each ttl less the lead"
    assert (targets['page{"n":1}'].first - plan.now).total_seconds() == pytest.approx(30, abs=0.5)
    assert targets['page{"n":1}'].reason.startswith("chance of a read ")
    assert 1 < targets['page{"n":1}'].refreshes < 40, "nobody is assumed to read it, and its chance falls"
    assert targets['page{"n":2}'].refreshes == 0
    assert targets['page{"n":2}'].reason.startswith("chance of a read ")
    assert plan.not_kept_warm == []


def test_the_scheduler_decides_as_the_plan_predicts(warmer, make_warmer):
    from warmer.engine.review_loop import ReviewLoop

    register(warmer, "page", cache_key="page:{n}", compute_fn=lambda n: n)
    store_of(warmer).fleet.worker_beat("worker-1")
    warmer.start()
    refs = [f'page{{"n":{n}}}' for n in range(12)]
    for n, ref in enumerate(refs):
        read(warmer, ref, *[(n + 1) * 11.0 + 7 * k for k in range(12 - n)])
        review_at(warmer, ref, 0)
    planned = by_ref(warmer.plan(0.01))
    store_of(warmer).fleet.lead("me", 10)
    ReviewLoop(store_of(warmer), warmer.settings, "me").run()
    decided = set(store_of(warmer).control.zrange(store_of(warmer).keys.scheduled_queue + "page", 0, -1))
    foreseen = {ref.encode() for ref in refs if planned[ref].refreshes}
    assert foreseen == decided
    assert 0 < len(decided) < len(refs)


def test_a_plan_changes_not_a_byte(busy):
    claim(store_of(busy), 1)
    before = everything(busy)
    busy.plan(60)
    assert everything(busy) == before
    assert len(before) > 15


def test_costs_are_added_up_by_task_by_limit_and_by_executor(busy):
    plan = busy.plan(10)
    tasks = {task.task_id: task for task in plan.tasks}
    assert tasks["page"].targets == 2
    assert tasks["page"].refreshed == 1
    assert sum(task.refreshes for task in plan.tasks) == plan.refreshes
    limits = {limit.name: limit for limit in plan.limits}
    assert limits["pg"].refreshes == tasks["top"].refreshes
    assert limits["pg"].available_s == pytest.approx(2 * 600)
    assert limits["pg"].compute_s == pytest.approx(tasks["top"].compute_s)
    threads, loop, processes = plan.executors
    assert (threads.kind, threads.capacity, threads.available_s) == ("thread", 4, pytest.approx(2400))
    assert (loop.capacity, processes.capacity) == (1000, 2)
    assert threads.compute_s == pytest.approx(plan.compute_s)


def test_without_workers_no_target_can_be_kept_warm(busy):
    store_of(busy).fleet.worker_gone("worker-1")
    plan = busy.plan(10)
    assert plan.workers == 0
    assert [(target.ref, target.problem) for target in plan.not_kept_warm] == [
        ("asked", "no worker has a thread"),
        ('page{"n":1}', "no worker has a thread"),
        ("top", "no worker has a thread"),
    ]


def test_a_task_that_takes_longer_than_its_ttl_cannot_be_kept_warm_at_all(busy):
    store_of(busy).control.hset(store_of(busy).keys.stats + "top", "p95_ms", 61_000)
    (problem,) = busy.plan(10).not_kept_warm
    assert (problem.ref, problem.problem) == ("top", "its computation takes 61.0 s, and its ttl is 60 s")


def test_while_warming_is_off_only_requested_targets_are_computed(busy):
    busy.stop()
    plan = busy.plan(10)
    assert not plan.is_on
    assert [(target.ref, target.refreshes) for target in plan.targets if target.refreshes] == [("asked", 1)]
    assert by_ref(plan)["top"].reason == "warming is switched off"


def test_an_incomplete_plan_says_so(busy, monkeypatch):
    monkeypatch.setattr(snapshot, "MAX_TARGETS", 2)
    plan = busy.plan(10)
    assert (plan.targets_found, plan.targets_looked_at) == (4, 2)
    assert [target.ref for target in plan.targets] == ["asked", "top"]


def test_a_plan_can_show_one_task_alone(busy):
    plan = busy.plan(10, task_id="top")
    assert {target.ref for target in plan.targets} == {"top"}
    with pytest.raises(UnknownTaskError, match="nobody"):
        busy.plan(10, task_id="nobody")


@pytest.mark.parametrize("minutes", [0, -1, 1441, True, "ten", float("nan")])
def test_minutes_out_of_range_are_refused(busy, minutes):
    with pytest.raises(InvalidTaskError, match="minutes must be"):
        busy.plan(minutes)


def test_the_tables_and_the_json_show_the_same_plan(busy, server, namespace, monkeypatch):
    import warmer.cli.plan as command

    monkeypatch.setattr(command, "fleet", lambda: busy)
    shown = CliRunner().invoke(main, ["plan", "--minutes", "5"])
    assert shown.exit_code == 0, shown.output
    for part in ('page{"n":1}', "requested on demand", "critical", "pg", "threads:", "within 5.0 minutes"):
        assert part in shown.stdout
    scripted = CliRunner().invoke(main, ["plan", "--minutes", "5", "--limit", "1", "--json"])
    found = json.loads(scripted.stdout)
    assert found["minutes"] == 5.0
    assert [target["ref"] for target in found["targets"]] == ["asked"]
    assert {"tasks", "limits", "executors", "workers", "targets_found"} <= found.keys()
