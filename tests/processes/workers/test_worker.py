"""What a worker does between its drains: it begins the next at once, and gives back what a dead one had claimed."""

import os
import re
import signal
import time
from itertools import pairwise

import pytest

LAPSE = """
    from warmer.store.control.refreshes import Refreshes

    end_claims = Refreshes.lapse

    def lapse(store, life):
        mark("lapsed", life)
        if (HERE / "hang").exists():
            time.sleep(60)
        return end_claims(store, life)

    Refreshes.lapse = lapse
"""


@pytest.fixture
def app(app):
    """A Warmer beside the fleet's processes, switched on."""
    app.start()
    return app


def test_one_drain_follows_the_other_without_a_scheduler(fleet, app, eventually) -> None:
    fleet.tasks(
        LAPSE
        + """
    def load_all(number):
        def load():
            mark("horses", os.getpid())
            time.sleep(0.7)
            return number
        load.__qualname__ = f"load_{number}"
        globals()[f"load_{number}"] = load
        return load

    for number in range(6):
        keep(f"t{number}", load_all(number))
    """
    )
    fleet.environment |= {"WARMER_CONCURRENCY": "1", "WARMER_DRAIN_TIME_S": "0.5"}
    fleet.worker()
    eventually(lambda: [app.get(f"t{number}:key") for number in range(6)] == list(range(6)), 30)
    assert len(set(fleet.lines("horses"))) == 6
    assert fleet.lines("lapsed") == []


def test_what_a_dead_drain_had_claimed_is_given_back(fleet, app, eventually) -> None:
    fleet.tasks(
        LAPSE
        + """
    def crash():
        mark("runs", os.getpid())
        if len((HERE / "runs").read_text().splitlines()) == 1:
            os._exit(9)
        return "second time lucky"

    keep("crashes", crash)
    """
    )
    fleet.environment["WARMER_CLAIM_TIMEOUT_S"] = "600"  # so that it cannot be back because its claim has lapsed
    fleet.scheduler()
    fleet.worker()
    eventually(lambda: app.get("crashes:key") == "second time lucky", 30)
    (life,) = fleet.lines("lapsed")
    assert re.fullmatch("[0-9a-f]{16}", life)


@pytest.mark.parametrize("is_hanging", [False, True])
def test_a_worker_that_leaves_at_once_gives_back_what_it_can(fleet, app, eventually, is_hanging) -> None:
    fleet.tasks(
        LAPSE
        + """
    def load():
        mark("runs", os.getpid())
        time.sleep(60)

    keep("slow", load)
    """
    )
    if is_hanging:
        (fleet.folder / "hang").touch()
    worker = fleet.worker("--shutdown-grace", "60")
    eventually(lambda: fleet.lines("runs"), 20)
    worker.send_signal(signal.SIGINT)
    time.sleep(0.2)
    worker.terminate()
    began = time.monotonic()
    assert worker.wait(timeout=20) == 143
    assert time.monotonic() - began < 1 + 1.5
    assert fleet.lines("lapsed")


def test_a_drain_that_is_killed_leaves_the_worker_working(fleet, app, eventually) -> None:
    fleet.tasks(
        LAPSE
        + """
    def load():
        mark("runs", os.getpid())
        if len((HERE / "runs").read_text().splitlines()) == 1:
            time.sleep(60)
        return "computed by the next one"

    keep("slow", load)
    """
    )
    fleet.scheduler()
    worker = fleet.worker()
    (horse,) = eventually(lambda: fleet.lines("runs"), 20)
    os.kill(int(horse), signal.SIGKILL)
    eventually(lambda: app.get("slow:key") == "computed by the next one", 20)
    assert worker.poll() is None
    assert len(fleet.lines("lapsed")) == 1


def test_a_drain_whose_time_is_up_does_not_keep_others_waiting_for_a_long_computation(fleet, app, eventually) -> None:
    fleet.tasks(
        LAPSE
        + """
    def long():
        mark("long", "began")
        time.sleep(3)
        return 1

    def short():
        mark("short", time.time())
        return 1

    keep("long", long, priority=99)
    keep("short", short, ttl=0.1, jitter=0)
    """
    )
    fleet.environment |= {"WARMER_CONCURRENCY": "2", "WARMER_DRAIN_TIME_S": "1.5"}
    fleet.worker()
    eventually(lambda: app.get("long:key") == 1, 30)
    began_s = [float(line) for line in fleet.lines("short")]
    assert max(after - before for before, after in pairwise(began_s)) < 0.7
