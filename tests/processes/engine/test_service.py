"""The whole service as its users see it: schedulers, workers and `warmer dev`, with values that are read."""

import os
import signal
import sys
import time
from itertools import pairwise

import pytest

from tests.support.fleets import TASKS


def test_registered_tasks_are_kept_warm(fleet, app, eventually):
    fleet.tasks(
        """
    def load():
        mark("runs", time.time())
        time.sleep(0.8)  # what it costs is what the next one begins earlier
        return {"pid": os.getpid()}

    register("catalog", load, ttl=3, critical=True)
    """
    )
    fleet.scheduler()
    fleet.worker()
    app.start()
    eventually(lambda: len(fleet.lines("runs")) >= 3, 20)
    times = [float(line) for line in fleet.lines("runs")]
    assert all(after - before < 3.0 for before, after in pairwise(times)), f"refreshed too late: {times}"
    assert app.get("catalog:key")["pid"] != os.getpid()
    stats = app.stats()
    assert stats["running"] is True
    assert stats["workers"] == 1
    assert stats["task_details"][0]["run_count"] >= 2
    app.stop()
    assert app.stats()["running"] is False


def test_one_worker_goes_by_priority(fleet, app, eventually):
    fleet.tasks(
        """
    def make(name):
        def load():
            mark("order", name)
            return name
        load.__qualname__ = load.__name__ = name
        globals()[name] = load
        return load

    for number, priority in enumerate([5, 90, -3, 40, 4000, 0, 60]):
        register(f"p{priority}".replace("-", "minus"), make(f"load_{number}_{priority}".replace("-", "minus")),
                 priority=priority)
    """
    )
    app.start()
    fleet.environment["WARMER_CONCURRENCY"] = "1"
    fleet.run("worker", "--import", "fleet_tasks", "--burst", log="worker").wait(timeout=30)
    order = [int(line.rpartition("_")[2].replace("minus", "-")) for line in fleet.lines("order")]
    assert order == [4000, 90, 60, 40, 5, 0, -3]


def test_an_emptied_redis_is_filled_again_by_those_who_live(own_fleet, own_server, make_warmer, eventually):
    fleet = own_fleet
    fleet.tasks(
        """
    def load():
        mark("runs", time.time())
        return "warm"

    register("catalog", load, ttl=600, critical=True)
    """
    )
    app = make_warmer(redis_url=own_server.url, embedded=False, tick_s=0.2, flush_s=0.2)
    fleet.scheduler()
    fleet.worker()
    app.start()
    eventually(lambda: app.get("catalog:key") == "warm", 20)
    own_server.restart_empty()
    eventually(lambda: app.get("catalog:key") == "warm", 20)
    stats = eventually(lambda: (found := app.stats())["running"] and found["workers"] and found, 20)
    assert stats["tasks"] == 1
    assert len(fleet.lines("runs")) == 2


def test_a_failing_task_keeps_its_old_value_and_backs_off(fleet, app, eventually):
    fleet.tasks(
        """
    def load():
        mark("runs", time.time())
        if (HERE / "broken").exists():
            raise RuntimeError("cannot reach postgresql://app:s3cret@db/shop")
        return "good"

    register("flaky", load, ttl=120, critical=True)
    """
    )
    fleet.scheduler()
    fleet.worker()
    app.start()
    eventually(lambda: app.get("flaky:key") == "good", 20)
    (fleet.folder / "broken").touch()
    before = len(fleet.lines("runs"))
    app.warm("flaky", force=True)
    eventually(lambda: len(fleet.lines("runs")) >= before + 4, 30)
    times = [float(line) for line in fleet.lines("runs")][before:]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[0] >= 0.5, "half of the first second, at least"
    assert gaps[2] >= 2.0, "half of the third wait of four seconds, at least"
    assert app.get("flaky:key") == "good"
    detail = app.stats()["task_details"][0]
    assert detail["fail_count"] >= 3
    assert detail["last_error"] == "RuntimeError: cannot reach postgresql://***@db/shop"
    assert "s3cret" not in "".join(fleet.lines("worker.txt"))


def test_a_worker_leaves_unknown_tasks_to_others_and_says_so_once(fleet, app, eventually):
    fleet.tasks("    def load(): return 1\n    register('ours', load, critical=True)\n")
    fleet.write("their_tasks", TASKS + "    def load(): return 2\n    register('theirs', load, priority=99)\n")
    fleet.scheduler()
    fleet.worker()
    app.start()
    eventually(lambda: app.get("ours:key") == 1, 20)
    fleet.python("import their_tasks")
    eventually(lambda: any("does not know task 'theirs'" in line for line in fleet.lines("worker.txt")), 20)
    app.warm("ours", force=True)
    eventually(lambda: app.stats()["performance"]["total_warmings"] >= 2, 20)
    said = "\n".join(fleet.lines("worker.txt")).count("does not know")
    assert said == 1
    fleet.worker(module="their_tasks")
    eventually(lambda: app.get("theirs:key") == 2, 20)


def test_a_computation_past_its_time_out_is_given_up_and_cannot_write(fleet, app, eventually):
    fleet.tasks(
        """
    def load():
        mark("runs", time.time())
        if len((HERE / "runs").read_text().splitlines()) == 1:
            time.sleep(3)
            return "too late"
        return "in time"

    register("slow", load, ttl=600, critical=True, timeout_s=0.5)
    """
    )
    fleet.scheduler()
    fleet.worker()
    app.start()
    eventually(lambda: app.get("slow:key") == "in time", 20)
    assert app.stats()["task_details"][0]["fail_count"] == 1
    started = float(fleet.lines("runs")[0])
    eventually(lambda: time.time() > started + 3.5, 10)  # by now the first one has come back
    assert app.get("slow:key") == "in time"


def test_a_task_that_kills_its_process_is_noticed_and_the_worker_goes_on(fleet, app, eventually):
    fleet.tasks(
        """
    def crash():
        mark("runs", time.time())
        if len((HERE / "runs").read_text().splitlines()) == 1:
            os._exit(9)
        return "second time lucky"

    register("crashes", crash, ttl=600, critical=True)
    """
    )
    fleet.scheduler()
    fleet.worker()
    app.start()
    eventually(lambda: app.get("crashes:key") == "second time lucky", 20)
    eventually(lambda: any("a drain's process died (exit code 9)" in line for line in fleet.lines("worker.txt")))


def test_redis_going_away_and_coming_back_stops_nobody(own_fleet, own_server, make_warmer, eventually):
    fleet = own_fleet
    fleet.tasks("    def load(): return 1\n    register('t', load, ttl=600, critical=True)\n")
    app = make_warmer(redis_url=own_server.url, embedded=False, tick_s=0.2, flush_s=0.2)
    processes = [fleet.scheduler(), fleet.worker()]
    app.start()
    eventually(lambda: app.get("t:key") == 1, 20)
    for _ in range(2):
        own_server.restart_empty()
        eventually(lambda: app.get("t:key") == 1, 30)
    assert [process.poll() for process in processes] == [None, None]


def test_dev_runs_everything_beside_a_command_and_ends_with_it(fleet):
    del fleet.environment["WARMER_REDIS_URL"]
    fleet.tasks("    def load(): return 1\n    register('t', load, critical=True)\n")
    fleet.write(
        "reader",
        """
        import sys, time, warmer
        warmer.start_cache_warming()
        deadline = time.monotonic() + 20
        while not warmer.get("t:key"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        sys.exit(7)
        """,
    )
    dev = fleet.run("dev", "--import", "fleet_tasks", "--", sys.executable, "-m", "reader", log="dev")
    assert dev.wait(timeout=30) == 7
    assert "private " in "".join(fleet.lines("dev.txt"))


def test_dev_leaves_no_process_behind_even_in_the_middle_of_a_long_task(fleet, eventually):
    del fleet.environment["WARMER_REDIS_URL"]
    fleet.tasks(
        """
    from warmer import start_cache_warming

    def long():
        mark("horse", os.getpid())
        time.sleep(60)

    register("long", long, critical=True)
    start_cache_warming()
    """
    )
    dev = fleet.run("dev", "--import", "fleet_tasks", log="dev")
    (horse,) = eventually(lambda: fleet.lines("horse"), 20)
    dev.terminate()
    assert dev.wait(timeout=30) == 128 + signal.SIGTERM

    def is_gone() -> bool:
        try:
            os.kill(int(horse), 0)
        except ProcessLookupError:
            return True
        return False

    eventually(is_gone, 10)


def test_dev_says_what_cannot_be_run(fleet):
    del fleet.environment["WARMER_REDIS_URL"]
    assert fleet.run("dev", "--", "no-such-command", log="dev").wait(timeout=30) == 2
    assert "'no-such-command' cannot be run" in "".join(fleet.lines("dev.txt"))


def test_dev_ends_when_a_worker_cannot_go_on(fleet):
    dev = fleet.run("dev", "--import", "no_such_module", "--", "sleep", "60", log="dev")
    assert dev.wait(timeout=30) == 2
    assert "worker 1 ended unexpectedly" in "".join(fleet.lines("dev.txt"))


@pytest.mark.parametrize(
    "command",
    [
        ["worker", "--import", "json"],
        ["scheduler"],
        ["start"],
        ["stop"],
        ["check"],
        ["stats"],
        ["warm", "t"],
        ["unregister", "t"],
    ],
)
def test_production_commands_refuse_to_guess_a_server(fleet, command):
    del fleet.environment["WARMER_REDIS_URL"]
    assert fleet.run(*command).wait(timeout=30) == 2
    assert "WARMER_REDIS_URL" in "".join(fleet.lines("log.txt"))


def test_a_worker_without_tasks_or_with_a_wrong_module_says_so(fleet):
    assert fleet.run("worker", log="none").wait(timeout=30) == 2
    assert "--import MODULE" in "".join(fleet.lines("none.txt"))
    assert fleet.run("worker", "--import", "no_such_module", log="wrong").wait(timeout=30) == 2
    assert "no_such_module" in "".join(fleet.lines("wrong.txt"))
    assert fleet.run("worker", "--import", "json:no_such_function", log="function").wait(timeout=30) == 2
    assert "no_such_function" in "".join(fleet.lines("function.txt"))


def test_tasks_of_a_module_that_is_gone_can_be_forgotten(fleet, app):
    fleet.tasks("    def load(): return 1\n    register('t', load)\n")
    fleet.python("import fleet_tasks")
    assert fleet.run("unregister", "t").wait(timeout=30) == 0
    assert fleet.run("unregister", "t").wait(timeout=30) == 1
    assert app.stats()["tasks"] == 0
