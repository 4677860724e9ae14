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
from warmer_workers.watchdog import FRESH_START_S, Deadline, is_broken
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
def test_a_promise_holds_until_its_moment_and_a_fresh_start_after_a_pause(promised_s, awake_since_s, now_s) -> None:
    broken = is_broken(promised_s, awake_since_s, now_s)
    assert broken == (now_s > promised_s and now_s > awake_since_s + FRESH_START_S)


@given(st.floats(allow_nan=False))
def test_a_promise_is_read_as_it_was_given(until_s) -> None:
    promise = Deadline(0.0)
    promise.give(until_s)
    assert promise.until_s == until_s


def test_a_promise_given_in_a_child_is_known_to_its_parent() -> None:
    promise = Deadline(1.0)
    child = multiprocessing.get_context("fork").Process(target=promise.give, args=(2.5,))
    child.start()
    child.join(20)
    assert (promise.until_s, promise.is_fulfilled) == (2.5, False)


def test_a_process_that_breaks_its_promise_is_killed(horses, caplog) -> None:
    def hang(horse: WorkHorse) -> None:
        horse.promise.give(time.monotonic() + 0.2)
        time.sleep(60)

    horse = horses(hang)
    assert horse.ended.wait(5)
    assert horse.cause == "SIGKILL"
    assert not horse.has_ended_well
    assert "a task holds the interpreter" in caplog.text


def test_a_process_that_keeps_its_promises_is_left_alone(horses) -> None:
    def work(horse: WorkHorse) -> None:
        for _ in range(100):
            horse.promise.give(time.monotonic() + 1.0)
            time.sleep(0.02)
        horse.promise.fulfil()

    horse = horses(work)
    assert horse.ended.wait(20)
    assert horse.has_ended_well


def test_a_process_that_has_promised_nothing_yet_is_given_time(horses) -> None:
    horse = horses(lambda horse: time.sleep(60))
    assert horse.promise.until_s - time.monotonic() > 20


def test_a_pause_of_the_machine_breaks_no_promise(monkeypatch) -> None:
    """The clock jumps by an hour between two looks; the drain promises again soon after, as it does when it can."""
    now = iter([0.0, 0.25, 3600.0, 3600.25, 3600.5, 3605.0])
    looks: list[float] = []

    class Paused:
        pid, promise, ended, was_killed = 1, Deadline(4.0), threading.Event(), False

        def kill(self) -> None:
            self.was_killed = True

    def clock() -> float:
        looks.append(next(now))
        if looks[-1] == 3600.5:
            horse.promise.give(3604.5)
        elif looks[-1] == 3605.0:
            horse.ended.set()
            horse.promise.give(math.inf)
        return looks[-1]

    horse = Paused()
    monkeypatch.setattr(watchdog, "LOOK_EVERY_S", 0.001)
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
    assert not horse.has_ended_well
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
