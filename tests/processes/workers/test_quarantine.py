"""A task that crashes: the worker finds out which one it was, leaves it alone, and computes it again when told to."""

TASKS = """
    import os, signal, time
    from pathlib import Path
    from warmer import WarmingTask, register_warming_task

    MENDED = Path(__file__).parent / "mended"

    def crash():
        time.sleep(0.3)  # so that the other one is being computed at this moment
        if not MENDED.exists():
            os.kill(os.getpid(), signal.SIGSEGV)
        return "mended"

    def innocent():
        time.sleep(0.6)
        return "unharmed"

    for task_id, function in (("crash", crash), ("innocent", innocent)):
        register_warming_task(
            WarmingTask(task_id=task_id, cache_key=f"{task_id}:key", compute_fn=function, ttl=600, critical=True))
"""


def test_the_culprit_is_found_quarantined_and_let_go(fleet, app, eventually) -> None:
    app.start()
    fleet.write("fleet_tasks", TASKS)
    fleet.scheduler()
    fleet.worker()
    (culprit,) = eventually(lambda: app.stats()["quarantined"], 60)
    assert (culprit["name"], culprit["deaths"]) == ("crash", 3)
    assert "SIGSEGV" in culprit["error"]
    assert app.stats()["incidents"]["crashes"] in (1, 2), "a death of others, too, is only a suspicion"
    assert eventually(lambda: app.get("innocent:key"), 30) == "unharmed"
    assert app.get("crash:key") is None

    (fleet.folder / "mended").touch()
    assert app.release_quarantined("crash") == ["crash"]
    assert eventually(lambda: app.get("crash:key"), 30) == "mended"
    assert app.stats()["quarantined"] == []
