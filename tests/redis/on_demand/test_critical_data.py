"""`warm_critical_data`: its counts add up, whoever does the work."""

from warmer import WarmingTask


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
    assert not warmer.plan().is_on
    assert warmer.warm_critical_data()["succeeded"] == 1
    assert warmer.get("t") == 1


def test_tasks_that_nobody_here_knows_are_said_so_at_once(warmer, make_warmer):
    register(warmer, "theirs", lambda: 1)
    result = make_warmer().warm_critical_data(timeout_s=30)
    assert result["tasks"][0]["error"] == "no worker is alive, and this process does not know the task"
    assert result["total_duration_ms"] < 5000
    assert adds_up(result)


def test_without_critical_tasks_there_is_nothing_to_do(warmer):
    result = warmer.warm_critical_data()
    assert (result["total"], adds_up(result)) == (0, True)
