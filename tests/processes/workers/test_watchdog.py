"""A drain's process that a task has stopped is killed in time, and one that is alive never is."""

import math
import multiprocessing
import os
import signal
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.runtimes import runtime_of
from warmer_workers import watchdog
from warmer_workers.watchdog import AFTER_PAUSE_S, Deadline, is_missed
from warmer_workers.work_horse import WorkHorse, cause_of, give_back_claims

TIMEOUT_S = 1.0
SLACK_S = 2.0

moments = st.floats(-1e9, 1e9)


@pytest.fixture
def app(app):
    """A Warmer beside the fleet's processes, switched on."""
    app.start()
    return app


@pytest.fixture
def horses():
    """Starts processes that run a function; kills what is left of them."""
    started: list[WorkHorse] = []

    def start(function) -> WorkHorse:
        horse = WorkHorse()
        pid = os.fork()
        if pid == 0:
            try:
                function(horse)
            finally:
                os._exit(0)
        horse.forked(pid)
        started.append(horse)
        return horse

    yield start
    for horse in started:
        horse.kill()
        assert horse.ended.wait(10)


@given(moments, moments, moments)
def test_a_deadline_is_missed_after_its_moment_and_the_time_after_a_pause(deadline_s, awake_since_s, now_s) -> None:
    missed = is_missed(deadline_s, awake_since_s, now_s)
    assert missed == (now_s > deadline_s and now_s > awake_since_s + AFTER_PAUSE_S)


@given(st.floats(allow_nan=False))
def test_a_deadline_is_read_as_it_was_set(until_s) -> None:
    deadline = Deadline(0.0)
    deadline.extend(until_s)
    assert deadline.deadline_s == until_s


def test_a_deadline_extended_in_a_child_is_known_to_its_parent() -> None:
    deadline = Deadline(1.0)
    child = multiprocessing.get_context("fork").Process(target=deadline.extend, args=(2.5,))
    child.start()
    child.join(20)
    assert (deadline.deadline_s, deadline.is_finished) == (2.5, False)


def test_a_process_that_misses_its_deadline_is_killed(horses, caplog) -> None:
    def hang(horse: WorkHorse) -> None:
        horse.deadline.extend(time.monotonic() + 0.2)
        time.sleep(60)

    horse = horses(hang)
    assert horse.ended.wait(5)
    assert horse.cause == "SIGKILL"
    assert not horse.is_clean_exit
    assert "a task holds the interpreter" in caplog.text


def test_a_process_that_extends_its_deadline_in_time_is_left_alone(horses) -> None:
    def work(horse: WorkHorse) -> None:
        for _ in range(100):
            horse.deadline.extend(time.monotonic() + 1.0)
            time.sleep(0.02)
        horse.deadline.finish()

    horse = horses(work)
    assert horse.ended.wait(20)
    assert horse.is_clean_exit


def test_a_process_that_has_just_been_forked_is_given_time(horses) -> None:
    horse = horses(lambda horse: time.sleep(60))
    assert horse.deadline.deadline_s - time.monotonic() > 20


def test_a_pause_of_the_machine_misses_no_deadline(monkeypatch) -> None:
    """The clock jumps by an hour between two checks; the drain extends its deadline soon after."""
    now = iter([0.0, 0.25, 3600.0, 3600.25, 3600.5, 3605.0])
    looks: list[float] = []

    class Paused:
        pid, deadline, ended, was_killed = 1, Deadline(4.0), threading.Event(), False

        def kill(self) -> None:
            self.was_killed = True

    def clock() -> float:
        looks.append(next(now))
        if looks[-1] == 3600.5:
            horse.deadline.extend(3604.5)
        elif looks[-1] == 3605.0:
            horse.ended.set()
            horse.deadline.extend(math.inf)
        return looks[-1]

    horse = Paused()
    monkeypatch.setattr(watchdog, "CHECK_INTERVAL_S", 0.001)
    monkeypatch.setattr(watchdog.time, "monotonic", clock)
    watchdog.watch(horse)
    assert not horse.was_killed
    assert looks[-1] == 3605.0


def test_what_a_dead_process_had_started_is_gone_too(horses, eventually) -> None:
    reading, writing = os.pipe()

    def start_another_and_die(horse: WorkHorse) -> None:
        os.setpgrp()
        if os.fork() == 0:
            time.sleep(60)
        os.write(writing, b"1")
        os.kill(os.getpid(), signal.SIGKILL)

    horse = horses(start_another_and_die)
    assert horse.ended.wait(10)
    assert horse.cause == "SIGKILL"
    os.close(writing)
    assert os.read(reading, 1) == b"1"
    assert os.read(reading, 1) == b"", "the other one held the pipe's end until it was gone"
    os.close(reading)


def test_a_process_that_a_task_has_ended_has_not_ended_well(horses) -> None:
    horse = horses(lambda horse: os._exit(0))
    assert horse.ended.wait(10)
    assert not horse.is_clean_exit
    assert horse.cause == "exit code 0"


def test_causes_have_names() -> None:
    assert [cause_of(code) for code in (0, 7, -signal.SIGSEGV, -250)] == [
        "exit code 0",
        "exit code 7",
        "SIGSEGV",
        "signal 250",
    ]


def test_what_cannot_be_given_back_lapses_by_itself(make_warmer) -> None:
    away = make_warmer(redis_url="redis://127.0.0.1:1/0", embedded=False)
    assert give_back_claims(runtime_of(away), "0123456789abcdef") is False


def test_a_task_that_holds_the_interpreter_costs_its_process_and_the_worker_goes_on(fleet, app, eventually) -> None:
    fleet.tasks(
        f"""
    def astray():
        mark("astray", os.getpid())
        if len((HERE / "astray").read_text().splitlines()) == 1:
            mark("began", time.time())
            re.match("(a+)+$", "a" * 40 + "b")
        return "this time it matched"

    def load():
        mark("loaded", time.time())
        return "others are computed"

    keep("astray", astray, priority=9, timeout_s={TIMEOUT_S})
    keep("other", load)
    """
    )
    fleet.environment["WARMER_CONCURRENCY"] = "1"
    fleet.scheduler()
    worker = fleet.worker()
    eventually(lambda: app.get("other:key") == "others are computed", 30)
    waited_s = float(fleet.lines("loaded")[0]) - float(fleet.lines("began")[0])
    assert waited_s < TIMEOUT_S + 5 + 1.7 + SLACK_S, "claims lapse within 1.5 s and a tick"
    eventually(lambda: app.get("astray:key") == "this time it matched", 30)
    assert worker.poll() is None
    said = "\n".join(fleet.lines("worker.txt"))
    assert "a task holds the interpreter" in said
    assert "a drain's process died (SIGKILL)" in said


def test_a_task_that_ends_its_process_politely_is_noticed(fleet, app, eventually) -> None:
    fleet.tasks(
        """
    def leave():
        mark("runs", os.getpid())
        if len((HERE / "runs").read_text().splitlines()) == 1:
            os._exit(0)
        return "stayed"

    keep("leaves", leave)
    """
    )
    fleet.scheduler()
    fleet.worker()
    eventually(lambda: app.get("leaves:key") == "stayed", 30)
    eventually(lambda: any("a drain's process died (exit code 0)" in line for line in fleet.lines("worker.txt")))
