"""A worker that is told to stop ends in time, whatever its tasks do, and nothing is lost."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.support.fleets import HOLDS_THE_INTERPRETER

GRACE_S = 1.5
SLACK_S = 1.5  # the machine is shared


@pytest.fixture
def app(app, fleet):
    """A Warmer beside the fleet's processes, switched on."""
    app.start()
    fleet.environment["WARMER_SHUTDOWN_GRACE_S"] = str(GRACE_S)
    return app


def seconds_to_end(process) -> float:
    began = time.monotonic()
    process.wait(timeout=30)
    return time.monotonic() - began


def is_gone(pid: int) -> bool:
    """Whether no such process runs; one that nobody has reaped yet is gone, too."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def computing(fleet, eventually, *arguments: str):
    """A worker in the middle of a computation that ends when told; and the pid of the process that computes."""
    fleet.tasks(
        """
    def until_told():
        mark("runs", os.getpid())
        while not (HERE / "go").exists():
            time.sleep(0.02)
        return "computed"

    keep("slow", until_told)
    """
    )
    worker = fleet.worker(*arguments)
    return worker, int(eventually(lambda: fleet.lines("runs"), 20)[0])


def finish_elsewhere(fleet, app, eventually) -> None:
    (fleet.folder / "go").touch()
    fleet.scheduler()
    fleet.worker()
    eventually(lambda: app.get("slow:key") == "computed", 20)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_worker_ends_at_once(fleet, app, eventually, number) -> None:
    fleet.tasks('    def load(): return 1\n    keep("quick", load)\n')
    worker = fleet.worker()
    eventually(lambda: app.get("quick:key") == 1, 20)
    eventually(lambda: app.performance().total_warmings == 1)
    worker.send_signal(number)
    assert seconds_to_end(worker) < 1.0 + SLACK_S
    assert worker.returncode == 0
    assert app.stats().workers == 0


@pytest.mark.parametrize("is_for_group", [False, True])
def test_what_ends_within_the_grace_is_finished(fleet, app, eventually, is_for_group) -> None:
    worker, _ = computing(fleet, eventually)
    if is_for_group:
        os.killpg(worker.pid, signal.SIGTERM)
    else:
        worker.terminate()
    time.sleep(0.3)
    (fleet.folder / "go").touch()
    assert seconds_to_end(worker) < GRACE_S + 2 + SLACK_S
    assert worker.returncode == 0
    assert app.get("slow:key") == "computed"
    assert len(fleet.lines("runs")) == 1


def test_a_signal_to_parent_and_child_alike_finishes_what_runs(fleet, app, eventually) -> None:
    worker, horse = computing(fleet, eventually)
    for pid in (horse, worker.pid, horse):
        os.kill(pid, signal.SIGTERM)
    time.sleep(0.3)
    (fleet.folder / "go").touch()
    assert worker.wait(timeout=20) == 0
    assert app.get("slow:key") == "computed"


def test_what_takes_longer_than_the_grace_is_left_to_others(fleet, app, eventually) -> None:
    worker, horse = computing(fleet, eventually)
    worker.terminate()
    assert GRACE_S * 0.9 < seconds_to_end(worker) < GRACE_S + 2 + SLACK_S
    assert worker.returncode == 0
    assert is_gone(horse)
    finish_elsewhere(fleet, app, eventually)


def test_a_worker_ends_in_time_though_a_task_holds_the_interpreter(fleet, app, eventually) -> None:
    fleet.tasks(HOLDS_THE_INTERPRETER)
    worker = fleet.worker()
    horse = int(eventually(lambda: fleet.lines("runs"), 20)[0])
    worker.terminate()
    assert seconds_to_end(worker) < GRACE_S + 2 + SLACK_S
    assert worker.returncode == 0
    assert is_gone(horse)


@pytest.mark.parametrize(
    ("first", "second", "pause_s", "exit_code"),
    [
        (signal.SIGTERM, signal.SIGTERM, 0.3, 143),
        (signal.SIGTERM, signal.SIGINT, 0.05, 130),
        (signal.SIGINT, signal.SIGTERM, 1.5, 143),
        (None, signal.SIGQUIT, 0, 131),
    ],
)
def test_a_second_signal_ends_a_worker_at_once(fleet, app, eventually, first, second, pause_s, exit_code) -> None:
    worker, horse = computing(fleet, eventually, "--shutdown-grace", "60")
    if first is not None:
        worker.send_signal(first)
        time.sleep(pause_s)
        assert worker.poll() is None
    worker.send_signal(second)
    assert seconds_to_end(worker) < 1.0 + SLACK_S
    assert worker.returncode == exit_code
    assert is_gone(horse)
    finish_elsewhere(fleet, app, eventually)


def test_a_worker_under_a_supervisor_may_be_told_twice(fleet, app, eventually) -> None:
    worker, _ = computing(fleet, eventually, "--supervised")
    for _ in range(3):
        worker.terminate()
        time.sleep(0.1)
    (fleet.folder / "go").touch()
    assert worker.wait(timeout=20) == 0
    assert app.get("slow:key") == "computed"


def test_a_worker_ends_in_time_though_redis_hangs(own_fleet, own_server, make_warmer, eventually) -> None:
    app = make_warmer(redis_url=own_server.url, embedded=False, tick_s=0.2, flush_s=0.2)
    app.start()
    own_fleet.environment["WARMER_SHUTDOWN_GRACE_S"] = str(GRACE_S)
    worker, horse = computing(own_fleet, eventually)
    os.kill(own_server.pid, signal.SIGSTOP)
    try:
        worker.terminate()
        (own_fleet.folder / "go").touch()
        assert seconds_to_end(worker) < GRACE_S + 2 + 1 + SLACK_S
    finally:
        os.kill(own_server.pid, signal.SIGCONT)
    assert worker.returncode == 0
    eventually(lambda: is_gone(horse))


def test_sigterm_ends_a_worker_that_still_imports_its_tasks(fleet, app, eventually) -> None:
    fleet.tasks('    mark("importing", 1)\n    time.sleep(60)\n')
    worker = fleet.worker()
    eventually(lambda: fleet.lines("importing"), 20)
    worker.terminate()
    assert seconds_to_end(worker) < 2.0 + SLACK_S
    assert worker.returncode == 0


def test_a_killed_worker_takes_a_task_that_holds_the_interpreter_along(fleet, app, eventually) -> None:
    fleet.tasks(HOLDS_THE_INTERPRETER)
    worker = fleet.worker()
    horse = int(eventually(lambda: fleet.lines("runs"), 20)[0])
    worker.kill()
    eventually(lambda: is_gone(horse), 5)
