"""The coming minutes simulated without Redis: priorities, batches, limits, and capacity."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.cli.plan import totals_of, warnings_of
from warmer.engine.policy_state import PolicyState
from warmer.planning import rehearsal
from warmer.planning.capacity import Needs, PlannedCapacity
from warmer.planning.snapshot import Candidate, Snapshot, TaskProfile
from warmer.planning.summary import plan_of
from warmer.policy.budget import ExtraCompute
from warmer.policy.history import History
from warmer.store import Capacity
from warmer.store.task_spec import TaskSpec
from warmer.tasks.limit import Limit
from warmer.tasks.switch import Switch
from warmer.tasks.task import WarmingTask

NOW_S = 1_800_000_000.0
TTL_S = 60.0


def profile(task_id: str, cost_s: float = 0.0, spec: TaskSpec | None = None, **values: object) -> TaskProfile:
    given = {"task_id": task_id, "cache_key": task_id, "compute_fn": "app:load", "ttl": TTL_S, "jitter": 0}
    task = WarmingTask(**{**given, "critical": True, **values})
    spec = spec or TaskSpec(task.priority, task.is_critical, "t", 1, task.limit or "")
    return TaskProfile(task, spec, 0.0, 0.0, cost_s)


def valued(fresh_for_s: float, cost_s: float = 0.0) -> History:
    history = History()
    history.published(NOW_S + fresh_for_s, cost_s)
    return history


def planned(candidates, tasks, capacity, until_s=600.0, limits=None, **values):
    """Return the plan of the time until then."""
    policy_state = PolicyState({})
    policy_state.set_budgets({"": ExtraCompute(0.25)})
    snapshot = Snapshot(
        **{
            "now_s": NOW_S,
            "switch": Switch(on=True),
            "has_scheduler": True,
            "tick_s": 1.0,
            "candidates": candidates,
            "found": len(candidates),
            "tasks": {task.task.task_id: task for task in tasks},
            "policy_state": policy_state,
            "quarantined": frozenset(),
            "workers": 1,
            "capacity": capacity,
            "limits": limits or {},
            **values,
        }
    )
    return plan_of(snapshot, rehearsal.rehearse(snapshot, NOW_S + until_s))


def due(ref: str, in_s: float, fresh_for_s: float | None = None, state: str = "due", **values: object) -> Candidate:
    history = valued(in_s + 1.0 if fresh_for_s is None else fresh_for_s)
    return Candidate(ref, state, NOW_S + in_s, history, **values)


def begun_s(plan) -> dict[str, float]:
    """When each target's first refresh begins, in seconds from now."""
    return {
        target.ref: (target.first - plan.now).total_seconds() for target in plan.targets if target.first is not None
    }


def test_one_thread_computes_the_highest_priority_first():
    tasks = [profile(name, 5.0, priority=priority) for name, priority in [("low", 1), ("high", 9), ("middle", 5)]]
    plan = planned([due(task.task.task_id, 0.0) for task in tasks], tasks, Capacity(threads=1), until_s=30.0)
    assert begun_s(plan) == {"high": 0.0, "middle": 5.0, "low": 10.0}
    assert {target.ref: target.late for target in plan.targets} == {"high": 1, "middle": 1, "low": 1}


def test_a_target_with_capacity_in_time_is_not_late():
    task = profile("t", 0.5)
    plan = planned([due("t", 10.0)], [task], Capacity(threads=1))
    (target,) = plan.targets
    assert begun_s(plan) == {"t": 10.0}
    assert (target.late, target.problem) == (0, None)
    assert target.refreshes == 11, "at 10 s, and then after each ttl less the lead of 1.5 s"
    assert plan.compute_s == 5.5


def test_targets_beyond_the_capacity_are_listed_lowest_priority_first():
    tasks = [profile(f"t{n}", 1.0, priority=n) for n in range(100)]
    candidates = [due(task.task.task_id, 0.0, 100.0) for task in tasks]
    plan = planned(candidates, tasks, Capacity(threads=1), until_s=300.0, tick_s=2.0)
    named = [target.priority for target in plan.not_kept_warm]
    assert named == sorted(named)
    assert named[0] == 0
    assert max(named) < 60, "one thread keeps about sixty of them warm: those that matter most"
    assert len(named) >= 40
    threads = plan.executors[0]
    assert threads.compute_s > threads.available_s == 300.0


def test_each_kind_of_executor_has_its_own_capacity():
    tasks = [profile(kind, 1.0, TaskSpec(0, True, kind, 1, "")) for kind in "tlp"]
    candidates = [due(task.task.task_id, 0.0, 5.0) for task in tasks]
    plan = planned(candidates, tasks, Capacity(threads=1, loop=1), until_s=10.0)
    assert begun_s(plan) == {"t": 0.0, "l": 0.0}
    assert {target.ref: target.problem for target in plan.not_kept_warm} == {
        "p": "no worker has processes for isolated tasks"
    }


def test_a_batch_is_one_computation():
    batch = profile("t", 1.0, TaskSpec(0, True, "t", 10, "pg"), cache_key="t:{n}")
    candidates = [due(f't{{"n":{n}}}', 0.0, state="on_demand") for n in range(25)]
    plan = planned(
        candidates, [batch], Capacity(threads=8), until_s=9.0, limits={"pg": Limit(concurrency=2, reserved=0)}
    )
    assert sorted(begun_s(plan).values()) == [0.0] * 20, "two calls of ten; the third waits for the first to end"


def test_a_limit_lets_so_many_run_and_so_many_begin():
    spec = TaskSpec(0, False, "t", 1, "pg")
    tasks = [profile(f"t{n}", 1.0, spec, critical=False) for n in range(6)]
    candidates = [due(task.task.task_id, 0.0, state="on_demand") for task in tasks]
    two_at_once = planned(candidates, tasks, Capacity(threads=8), 10.0, {"pg": Limit(concurrency=2, reserved=0)})
    assert sorted(begun_s(two_at_once).values()) == [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]
    candidates = [due(task.task.task_id, 0.0, state="on_demand") for task in tasks]
    two_a_second = planned(candidates, tasks, Capacity(threads=8), 10.0, {"pg": Limit(rate_per_s=2, reserved=0)})
    assert sorted(begun_s(two_a_second).values()) == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.5, 2.0], abs=0.001)


def test_the_reserve_of_a_limit_is_for_critical_tasks():
    capacity = PlannedCapacity(Capacity(threads=8), {"pg": Limit(concurrency=4, reserved=0.5)}, NOW_S)
    ordinary, critical = Needs("t", "pg", False), Needs("t", "pg", True)
    for _ in range(2):
        capacity.take(ordinary, NOW_S)
    assert (capacity.is_free(ordinary, NOW_S), capacity.is_free(critical, NOW_S)) == (False, True)
    capacity.give_back(ordinary)
    assert capacity.is_free(ordinary, NOW_S)


@given(st.floats(0.1, 100), st.floats(0, 0.9), st.booleans())
def test_a_rate_gives_the_exact_time_of_the_next_computation(rate_per_s, reserved, is_critical):
    capacity, needs = (
        PlannedCapacity(Capacity(threads=10**6), {"x": Limit(rate_per_s=rate_per_s, reserved=reserved)}, 0.0),
        Needs("t", "x", is_critical),
    )
    for _ in range(1000):
        if not capacity.is_free(needs, 0.0):
            break
        capacity.take(needs, 0.0)
    again_s = capacity.free_again_s(needs, 0.0)
    assert not capacity.is_free(needs, 0.999 * again_s - 1e-6)
    assert capacity.is_free(needs, again_s)


def test_an_undeclared_limit_admits_one_computation_at_a_time():
    tasks = [profile(f"t{n}", 1.0, TaskSpec(0, False, "t", 1, "pg")) for n in range(3)]
    plan = planned([due(task.task.task_id, 0.0, state="on_demand") for task in tasks], tasks, Capacity(threads=8), 10.0)
    assert sorted(begun_s(plan).values()) == [0.0, 1.0, 2.0]


def test_a_fresh_value_satisfies_a_request_that_accepts_one():
    plan = planned([due("t", 0.0, 30.0, fresh_ok=True)], [profile("t")], Capacity(threads=1), until_s=40.0)
    assert begun_s(plan) == {"t": 29.0}
    (served,) = planned([due("t", 0.0, 30.0, fresh_ok=True)], [profile("t")], Capacity(threads=1), 20.0).targets
    assert (served.refreshes, served.reason) == (0, "its value is still fresh")


def test_a_cron_line_is_the_reason_if_it_has_set_the_time():
    task = profile("t", ttl=86_400, cron="*/10 * * * *")
    plan = planned([due("t", 0.0, 86_400)], [task], Capacity(threads=1), until_s=3500.0)
    (target,) = plan.targets
    assert target.refreshes == 6
    plan = planned([Candidate("t", "due", NOW_S + 600.0, valued(86_400))], [task], Capacity(threads=1), until_s=700.0)
    assert plan.targets[0].reason == "critical, by its cron line */10 * * * *"


@pytest.mark.parametrize(
    ("candidate", "values", "reason"),
    [
        (due("gone", 0.0), {}, "its task is disabled, or no longer registered"),
        (due("t", 0.0), {"quarantined": frozenset({"t"})}, "in quarantine: it crashed its processes"),
        (due("t", 0.0), {"switch": Switch(on=False)}, "warming is switched off"),
        (
            due("o", 0.0, state="review"),
            {"switch": Switch(on=True, pattern=False)},
            "refreshing by reads is switched off",
        ),
        (Candidate("o", "review", NOW_S, None), {}, "no history of its reads"),
        (due("o", 0.0, state="review"), {}, "not read for a long time"),
    ],
)
def test_a_skipped_target_has_a_reason(candidate, values, reason):
    tasks = [profile("t"), profile("o", critical=False)]
    (target,) = planned([candidate], tasks, Capacity(threads=1), **values).targets
    assert (target.refreshes, target.reason, target.problem) == (0, reason, None)


def test_failures_are_retried():
    (target,) = planned([due("t", 3.0, failures=2)], [profile("t")], Capacity(threads=1), until_s=10.0).targets
    assert (target.refreshes, target.reason) == (1, "retry after 2 failures")


def test_a_plan_with_too_many_refreshes_ends_early_and_says_when(monkeypatch):
    monkeypatch.setattr(rehearsal, "MAX_REFRESHES", 50)
    plan = planned([due("t", 0.0)], [profile("t", ttl=1.0)], Capacity(threads=1), until_s=600.0)
    assert plan.refreshes == 50
    assert plan.minutes == pytest.approx(49 * 0.5 / 60, rel=0.05)
    assert f"within {plan.minutes:.1f} minutes" in totals_of(plan)


def test_warnings_come_before_a_plan():
    plan = planned([], [], Capacity(), has_scheduler=False, workers=0, switch=Switch(on=False), found=5)
    assert [note.partition(":")[0] for note in warnings_of(plan)] == [
        "warming is switched off",
        "no scheduler leads",
        "no worker is alive",
        "incomplete",
    ]


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 20), st.integers(0, 9)), min_size=1, max_size=25),
    st.integers(1, 4),
)
def test_the_capacity_is_never_exceeded(targets, threads):
    tasks = [profile(f"t{n}", cost_s, priority=priority) for n, (_, cost_s, priority) in enumerate(targets)]
    candidates = [due(f"t{n}", in_s) for n, (in_s, _, _) in enumerate(targets)]
    plan = planned(candidates, tasks, Capacity(threads=threads), until_s=300.0)
    longest_s = max(cost_s for _, cost_s, _ in targets)
    assert plan.compute_s <= threads * (300.0 + longest_s) + 1e-6
