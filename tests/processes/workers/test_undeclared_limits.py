"""A worker says at its start which limits its tasks use and nobody has declared."""

TASKS = """
    from warmer import WarmingTask, register_warming_task

    def load():
        return 1

    for task_id, limit in (("a", "pg-main"), ("b", "pg-main"), ("c", "api"), ("d", "cdn"), ("e", None)):
        register_warming_task(WarmingTask(task_id=task_id, cache_key=task_id, compute_fn=load, limit=limit))
"""


def test_each_is_named_once_but_for_what_this_or_another_process_declares(fleet, make_warmer, eventually) -> None:
    application = make_warmer(limits={"api": {"concurrency": 2}})
    application.get("any key")
    eventually(lambda: [limit.name for limit in application.stats().limits] == ["api"])
    fleet.write("fleet_tasks", TASKS)
    fleet.environment |= {"WARMER_LIMITS": '{"cdn": {"rate_per_s": 5}}'}
    assert fleet.worker("--burst").wait(60) == 0
    (logged,) = [line for line in fleet.lines("worker.txt") if "not declared" in line]
    assert "'pg-main'" in logged
    assert "WARMER_LIMITS=" in logged
