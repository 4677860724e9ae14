"""`warmer plan` beside a running fleet, and `warmer record` as a process that is stopped, or killed."""

import json
import signal

import pytest

from tests.support.runtimes import store_of
from warmer.simulation.trace.trace_reader import read_trace

PAGES = """
    def load(n):
        return int(n)

    register_warming_task(WarmingTask(task_id="page", cache_key="page:{n}", compute_fn=load, ttl=60))
    def top():
        return 1

    keep("top", top, ttl=30)
"""


@pytest.fixture
def reading(app, fleet, eventually):
    """Reads pages once, and flushes that."""
    fleet.tasks(PAGES)
    app.start()
    fleet.worker("--concurrency", "3")
    eventually(lambda: store_of(app).fleet.capacities() and app.get("top:key") == 1, 20)

    def read() -> None:
        for n in range(5):
            app.get(f"page:{n}")
            store_of(app).reads.flush("test", next(numbers), [(f'page{{"n":"{n}"}}', "", 0, 1, [], 0, 0, 0)])

    numbers = iter(range(1, 10_000))
    return read


def test_a_plan_knows_the_capacity_of_the_workers(fleet, reading, eventually):
    process = fleet.run("plan", "--json", log="plan")
    assert process.wait(timeout=20) == 0
    plan = json.loads("\n".join(fleet.lines("plan.txt")))
    assert plan["workers"] == 1
    assert [(one["kind"], one["capacity"]) for one in plan["executors"]] == [
        ("thread", 3),
        ("loop", 1000),
        ("process", 2),
    ]
    (top,) = [target for target in plan["targets"] if target["ref"] == "top"]
    assert top["refreshes"] >= 20
    assert (top["reason"], top["problem"]) == ("critical", None)
    assert plan["scheduler_alive"] is False


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_recorder_that_is_stopped_keeps_the_reads_so_far(app, fleet, reading, eventually, ending):
    control, keys = store_of(app).control, store_of(app).keys
    process = fleet.run("record", "trace.csv.gz", "--sample", "1", "--json", log="record")
    eventually(lambda: control.exists(keys.recording), 20)
    reading()
    eventually(lambda: (fleet.folder / "trace.csv.gz").stat().st_size > 60, 10)
    reading()
    process.send_signal(ending)
    assert process.wait(timeout=20) == 0
    recorded = json.loads("\n".join(fleet.lines("record.txt")))
    assert (recorded["reads"], recorded["targets"], recorded["dropped"]) == (10, 5, 0)
    trace, _ = read_trace(str(fleet.folder / "trace.csv.gz"))
    assert (trace.read_count, trace.key_count) == (10, 5)
    assert list(control.scan_iter(f"{keys.namespace}:*recorded*")) == []
    assert not control.exists(keys.recording)


def test_when_a_recorder_is_killed_the_recording_ends_by_itself(app, fleet, reading, eventually):
    control, keys = store_of(app).control, store_of(app).keys
    process = fleet.run("record", "trace.csv", "--sample", "1", log="record")
    eventually(lambda: control.exists(keys.recording), 20)
    reading()
    eventually(lambda: len(fleet.lines("trace.csv")) == 6, 10)
    process.kill()
    process.wait(timeout=10)
    assert 0 < control.pttl(keys.recording) <= 15_000
    assert [control.pttl(key) > 0 for key in control.scan_iter(f"{keys.namespace}:*recorded*")] in ([], [True])
