"""Several workers from one command: they work together, are replaced when they die, and end together."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

LOADS = """
    mark("workers", os.getpid())

    def load_all(number):
        def load():
            mark("runs", os.getppid())
            until = time.monotonic() + 20
            while not (HERE / "go").exists() and time.monotonic() < until:
                time.sleep(0.02)
            return number
        load.__qualname__ = f"load_{number}"
        globals()[f"load_{number}"] = load
        return load

    for number in range(4):
        register_warming_task(WarmingTask(task_id=f"t{number}", cache_key=f"t{number}:key", critical=True, ttl=600,
                                          compute_fn=load_all(number)))
"""

SLACK_S = 2.0


@pytest.fixture
def app(app, fleet):
    """A Warmer beside the fleet's processes, switched on; each worker computes one value at a time."""
    app.start()
    fleet.environment["WARMER_CONCURRENCY"] = "1"
    fleet.environment["WARMER_SHUTDOWN_GRACE_S"] = "1.5"
    fleet.tasks(LOADS)
    return app


def are_gone(pids) -> bool:
    return all(is_gone(int(pid)) for pid in pids)


def is_gone(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def both_at_work(fleet, eventually) -> set[str]:
    """Wait until two workers compute; returns their pids."""
    return eventually(lambda: (found := set(fleet.lines("runs"))) and len(found) == 2 and found, 30)


def warmed(app) -> list[object]:
    return [app.get(f"t{number}:key") for number in range(4)]


def go(fleet) -> None:
    (fleet.folder / "go").touch()


def test_both_work_and_end_together(fleet, app, eventually) -> None:
    fleet.scheduler()
    several = fleet.worker("--processes", "2")
    workers = both_at_work(fleet, eventually)
    go(fleet)
    eventually(lambda: warmed(app) == [0, 1, 2, 3], 20)
    several.terminate()
    assert several.wait(timeout=20) == 0
    assert are_gone(workers)
    assert app.stats().workers == 0


def test_one_that_is_killed_is_replaced(fleet, app, eventually) -> None:
    fleet.scheduler()
    several = fleet.worker("--processes", "2")
    killed = both_at_work(fleet, eventually).pop()
    os.kill(int(killed), signal.SIGKILL)
    eventually(lambda: len(set(fleet.lines("workers"))) == 3, 20)
    go(fleet)
    eventually(lambda: warmed(app) == [0, 1, 2, 3], 20)
    assert several.poll() is None
    assert any(re.search(rf"\(pid {killed}\) has ended \(SIGKILL\)", line) for line in fleet.lines("worker.txt"))


def test_workers_end_with_a_supervisor_that_is_killed(fleet, app, eventually) -> None:
    fleet.scheduler()
    several = fleet.worker("--processes", "2")
    workers = both_at_work(fleet, eventually)
    several.kill()
    several.wait(20)
    eventually(lambda: are_gone(workers), 1.5 + 2 + SLACK_S)


@pytest.mark.parametrize("is_for_all", [False, True])
def test_what_is_computed_is_finished_even_if_everybody_gets_the_signal(fleet, app, eventually, is_for_all) -> None:
    fleet.scheduler()
    several = fleet.worker("--processes", "2")
    workers = both_at_work(fleet, eventually)
    several.terminate()
    if is_for_all:
        for pid in workers:
            os.kill(int(pid), signal.SIGTERM)
    time.sleep(0.3)
    go(fleet)
    assert several.wait(timeout=20) == 0
    assert are_gone(workers)
    assert len([value for value in warmed(app) if value is not None]) == 2


def test_a_second_signal_ends_all_at_once(fleet, app, eventually) -> None:
    fleet.environment["WARMER_SHUTDOWN_GRACE_S"] = "60"
    fleet.scheduler()
    several = fleet.worker("--processes", "2")
    workers = both_at_work(fleet, eventually)
    several.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert several.poll() is None
    several.terminate()
    began = time.monotonic()
    assert several.wait(timeout=20) == 143
    assert time.monotonic() - began < 1 + SLACK_S
    assert are_gone(workers)


def test_a_burst_ends_when_all_have(fleet, app, eventually) -> None:
    go(fleet)
    several = fleet.worker("--processes", "2", "--burst")
    assert several.wait(timeout=30) == 0
    assert warmed(app) == [0, 1, 2, 3]


def test_settings_and_modules_that_all_refuse_end_it(fleet, app) -> None:
    several = fleet.run("worker", "--processes", "2", "--import", "no_such_module", log="worker")
    assert several.wait(timeout=30) == 2
    assert "no_such_module" in "".join(fleet.lines("worker.txt"))
    assert fleet.run("worker", "--processes", "2", log="none").wait(timeout=30) == 2
    assert "--import MODULE" in "".join(fleet.lines("none.txt"))


def test_one_that_dies_at_its_start_is_started_again_after_a_pause(fleet, app, eventually) -> None:
    fleet.tasks(
        LOADS
        + """
    if len((HERE / "workers").read_text().splitlines()) <= 2:
        os._exit(7)
    """,
    )
    fleet.scheduler()
    several = fleet.worker("--processes", "2")
    go(fleet)
    eventually(lambda: warmed(app) == [0, 1, 2, 3], 30)
    said = [line for line in fleet.lines("worker.txt") if "has ended (exit code 7); it is started again in 1 s" in line]
    assert len(said) == 2
    several.terminate()
    assert several.wait(timeout=20) == 0


def test_options_become_settings_of_every_worker(fleet, app, eventually) -> None:
    fleet.write(
        "fleet_tasks",
        """
        from pathlib import Path
        from warmer import default_warmer

        settings = default_warmer().settings
        at_once = settings.concurrency, settings.async_concurrency, settings.isolated_processes
        with (Path(__file__).parent / "settings").open("a") as file:
            print(*at_once, settings.shutdown_grace_s, file=file)
        """,
    )
    options = ["--concurrency", "3", "--async-concurrency", "5", "--isolated-processes", "7", "--shutdown-grace", "0.5"]
    fleet.worker("--processes", "2", *options)
    assert eventually(lambda: len(found := fleet.lines("settings")) == 2 and found, 20) == ["3 5 7 0.5"] * 2
