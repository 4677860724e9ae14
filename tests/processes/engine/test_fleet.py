"""The whole service: scheduler and worker processes, killed and restarted."""

import os
import signal
import threading
import time

import pytest
from rq.exceptions import StopRequested

from tests.support.runtimes import runtime_of, store_of


def test_two_schedulers_and_many_workers_refresh_each_target_once(fleet, app, eventually):
    fleet.tasks(
        """
    def load_all(number):
        def load():
            mark("runs", number)
            return number
        load.__qualname__ = f"load_{number}"
        globals()[f"load_{number}"] = load
        return load

    for number in range(40):
        register(f"t{number}", load_all(number), ttl=600, critical=True)
    """
    )
    for _ in range(2):
        fleet.scheduler()
    for _ in range(3):
        fleet.worker()
    app.start()
    eventually(lambda: len(set(fleet.lines("runs"))) == 40, 30)
    eventually(lambda: app.stats()["backlog"] == 0 and store_of(app).control.zcard(store_of(app).keys.claims) == 0)
    first = [store_of(app).control.zscore(store_of(app).keys.due, f"t{number}") for number in range(40)]
    assert all(first)
    now_ms = store_of(app).reads.hottest(0)[0]
    for number in range(40):  # the next refresh of all of them comes now
        store_of(app).control.zadd(store_of(app).keys.due, {f"t{number}": now_ms})
    eventually(lambda: len(fleet.lines("runs")) >= 80, 30)
    eventually(lambda: store_of(app).control.zcard(store_of(app).keys.due) == 40)
    ticks = time.monotonic() + 1
    eventually(lambda: time.monotonic() > ticks)  # five more ticks find nothing more to do
    assert sorted(fleet.lines("runs"), key=int) == sorted([str(n) for n in range(40)] * 2, key=int)


def test_a_worker_killed_in_the_middle_loses_nothing(fleet, app, eventually):
    fleet.tasks(
        """
    def load():
        mark("runs", os.getpid())
        while not (HERE / "go").exists():
            time.sleep(0.02)
        return "survived"

    register("slow", load, ttl=600, critical=True)
    """
    )
    fleet.scheduler()
    doomed = fleet.worker()
    app.start()
    (pid,) = eventually(lambda: fleet.lines("runs"), 20)
    os.kill(doomed.pid, signal.SIGKILL)
    os.kill(int(pid), signal.SIGKILL)
    (fleet.folder / "go").touch()
    fleet.worker()
    eventually(lambda: app.get("slow:key") == "survived", 20)
    assert len(fleet.lines("runs")) == 2
    assert store_of(app).stats.totals()["lapsed_claims"] == 1


def test_a_scheduler_that_is_killed_is_replaced_by_its_standby(fleet, app, eventually):
    first = fleet.scheduler()
    eventually(lambda: app.stats().scheduler_alive, 20)
    fleet.scheduler()
    app.start()
    leader = store_of(app).control.get(store_of(app).keys.leader)
    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: store_of(app).control.get(store_of(app).keys.leader) not in (None, leader), 20)
    assert app.stats()["scheduler_alive"] is True


def test_a_changed_definition_takes_effect_at_once_in_workers_that_run(fleet, app, eventually):
    fleet.tasks("    def load(): return 1\n    register('t', load, ttl=600, critical=True)\n")
    fleet.scheduler()
    fleet.worker()
    app.start()
    entry = store_of(app).keys.entry("t:key")
    eventually(lambda: store_of(app).control.pttl(entry) > 500_000, 20)
    fleet.python("from fleet_tasks import *; register('t', load, ttl=60, critical=True)")
    eventually(lambda: 0 < store_of(app).control.pttl(entry) <= 60_000, 20)


def test_sigterm_finishes_what_runs_and_leaves(fleet, app, eventually):
    fleet.tasks(
        """
    def load():
        mark("runs", "started")
        time.sleep(1)
        return "finished"

    register("slow", load, ttl=600, critical=True)
    """
    )
    worker = fleet.worker()
    app.start()
    eventually(lambda: fleet.lines("runs"), 20)
    worker.terminate()
    assert worker.wait(timeout=10) == 0
    assert app.get("slow:key") == "finished"
    assert app.stats().workers == 0


def test_sigterm_while_redis_is_away_ends_a_worker_and_a_scheduler(own_fleet, own_server, make_warmer, eventually):
    own_fleet.tasks("")
    app = make_warmer(redis_url=own_server.url, embedded=False, tick_s=0.2, flush_s=0.2)
    processes = [own_fleet.scheduler(), own_fleet.worker()]
    eventually(lambda: app.stats().scheduler_alive and app.stats().workers, 20)
    own_server.kill()
    eventually(lambda: any("Redis is away" in line for line in own_fleet.lines("worker.txt")), 20)
    for process in processes:
        process.terminate()
    assert [process.wait(timeout=20) for process in processes] == [0, 0]


def test_a_signal_before_rq_listens_is_not_forgotten(fleet, make_warmer):
    from warmer.connect import connect
    from warmer_workers.rq_worker import WarmWorker

    runtime, stop = runtime_of(make_warmer()), threading.Event()
    stop.set()
    worker = WarmWorker(runtime, connect(runtime.settings.required_redis_url(), 5, resend=True), "early", stop)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(StopRequested):
            worker._install_signal_handlers()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_worker_that_starts_again_does_not_undo_the_switch(fleet, app, eventually):
    fleet.tasks("    from warmer import start_cache_warming\n    start_cache_warming()\n")
    fleet.worker()
    eventually(lambda: store_of(app).switch.get().on and store_of(app).fleet.live_workers(), 20)
    app.start(interval_minutes=5, enable_pattern_warming=False)
    first = store_of(app).fleet.live_workers()
    fleet.worker()
    eventually(lambda: len(store_of(app).fleet.live_workers()) > len(first), 20)
    assert (store_of(app).switch.get().interval_s, store_of(app).switch.get().pattern) == (300, False)
    app.stop()
    fleet.worker()
    eventually(lambda: len(store_of(app).fleet.live_workers()) > len(first) + 1, 20)
    assert store_of(app).switch.get().on is False


def test_check_tells_healthy_from_unhealthy(fleet, app, eventually):
    fleet.tasks("")
    assert fleet.run("check", "redis").wait(timeout=30) == 0
    assert fleet.run("check", log="before").wait(timeout=30) == 1
    assert "no scheduler leads" in "".join(fleet.lines("before.txt"))
    store_of(app).fleet.worker_beat("another-host-1-abcdef")
    assert fleet.run("check", "worker").wait(timeout=30) == 0
    assert fleet.run("check", "worker", "--here").wait(timeout=30) == 1
    fleet.scheduler()
    fleet.worker()
    eventually(lambda: app.stats()["scheduler_alive"] and app.stats()["workers"] > 1, 20)
    assert fleet.run("check").wait(timeout=30) == 0
    assert fleet.run("check", "worker", "--here").wait(timeout=30) == 0
    fleet.environment["WARMER_REDIS_URL"] = "redis://:s3cret@127.0.0.1:1/0"
    assert fleet.run("check", log="away").wait(timeout=30) == 1
    assert "s3cret" not in "".join(fleet.lines("away.txt"))
