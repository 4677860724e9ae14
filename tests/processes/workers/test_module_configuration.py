"""A module that a worker imports may configure it, as an application's start does."""

TASKS = """
    import warmer
    from warmer import Limit, WarmingTask, configure, register_warming_task, warmed

    @warmed("before", ttl=600)
    def before() -> int:
        return 1

    configure(limits={"pg-main": Limit(concurrency=4)}, shutdown_grace_s=3)

    @warmed("after:{n}", ttl=600, limit="pg-main")
    def after(n: int) -> int:
        return n

    register_warming_task(WarmingTask(task_id="registered", cache_key="registered", compute_fn=before.__wrapped__))
    warmer.start_cache_warming()
"""


def test_a_worker_computes_what_a_module_registers_after_it_has_configured(fleet, warmer):
    fleet.write("fleet_tasks", TASKS)
    fleet.worker()
    printed = fleet.python(
        """
        from fleet_tasks import after, before
        print(before.warm().wait(30).success, after.warm(7).wait(30).success)
        """
    )
    assert printed.split() == ["True", "True"]
    assert [limit.name for limit in warmer.stats().limits] == ["pg-main"]
    assert not [line for line in fleet.lines("worker.txt") if "does not know" in line]


def test_such_a_worker_does_not_undo_what_has_been_switched_since(fleet, warmer):
    fleet.write("fleet_tasks", TASKS)
    assert fleet.worker("--burst").wait(60) == 0
    warmer.stop()
    assert fleet.worker("--burst").wait(60) == 0
    assert not warmer.plan().is_on
