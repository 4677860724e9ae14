"""What readers compute by themselves: reported soon, together and again, and never in a reader's way."""

import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisIsAway

from warmer.refresh import reader_usage as module
from warmer.refresh.reader_usage import ReaderUsage


class Fleet:
    """Takes reports in as Redis would, unless it is away."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, list[str | int]]] = []
        self.is_away = False

    def __call__(self, process: str, timeout_ms: int, reports) -> None:
        if self.is_away:
            raise RedisIsAway("connection refused")
        self.sent.append((process, list(reports)))

    @property
    def last(self) -> list[str | int]:
        return self.sent[-1][1]


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


@pytest.fixture
def guests(fleet, monkeypatch):
    """Guests without their thread: the test itself reports."""
    monkeypatch.setattr(ReaderUsage, "_ensure_running", lambda self: None)
    return ReaderUsage(fleet, timeout_s=10)


@pytest.fixture
def reporting(fleet):
    """Guests with their thread."""
    made = ReaderUsage(fleet, timeout_s=0.3)
    yield made
    made.close()


def test_a_report_says_what_runs_and_what_was_started(guests, fleet):
    with guests.computing("pg"), guests.computing("pg"):
        assert guests.report()
        assert fleet.last == ["pg", 2, 2, 0]
    with guests.computing("pg"), guests.computing("api"):
        assert guests.report()
        assert fleet.last == ["pg", 1, 3, 2, "api", 1, 1, 0]
    assert guests.report()
    assert fleet.last == ["pg", 0, 3, 3, "api", 0, 1, 1]


def test_nothing_is_sent_where_nothing_runs_and_nothing_has_changed(guests, fleet):
    assert guests.report()
    with guests.computing("pg"):
        pass
    assert guests.report()
    assert guests.report()
    assert [report for _, report in fleet.sent] == [["pg", 0, 1, 0]]


def test_what_runs_is_told_again_and_again(guests, fleet):
    with guests.computing("pg"):
        for _ in range(3):
            guests.report()
    assert [report for _, report in fleet.sent] == [["pg", 1, 1, 0], ["pg", 1, 1, 1], ["pg", 1, 1, 1]]


def test_a_computation_that_fails_ends(guests, fleet):
    with pytest.raises(ZeroDivisionError), guests.computing("pg"):
        _ = 1 / 0
    guests.report()
    assert fleet.last == ["pg", 0, 1, 0]


@given(st.lists(st.sampled_from(["begin", "end", "report", "lost", "away", "back"]), max_size=60))
def test_no_start_is_lost_or_told_twice_whatever_becomes_of_reports(steps):
    taken_in = {"started": 0, "charged": 0}
    is_away, is_lost = False, False

    def send(process, timeout_ms, reports):
        _, _, started, acknowledged = reports
        if is_away:
            raise RedisIsAway
        taken_in["charged"] += max(0, started - max(taken_in["started"], acknowledged))
        taken_in["started"] = max(started, taken_in["started"])
        if is_lost:
            raise RedisIsAway("its answer was lost")

    counted = ReaderUsage(send, timeout_s=10)
    counted._ensure_running = lambda: None  # type: ignore[method-assign]
    running, started = [], 0
    for step in steps:
        is_lost = step == "lost"
        is_away = (is_away or step == "away") and step != "back"
        if step == "begin":
            computation = counted.computing("pg")
            computation.__enter__()
            running.append(computation)
            started += 1
        elif step == "end" and running:
            running.pop().__exit__()
        elif step in ("report", "lost"):
            counted.report()
    is_away = is_lost = False
    assert counted.report()
    assert taken_in["charged"] == started


def test_an_outage_is_said_once_and_never_met_by_readers(guests, fleet, caplog):
    fleet.is_away = True
    with caplog.at_level(logging.WARNING, "warmer.limits"):
        for _ in range(3):
            with guests.computing("pg"):
                assert not guests.report()
        fleet.is_away = False
        assert guests.report()
    assert [record.message.split(" (")[0] for record in caplog.records] == [
        "workers do not see what readers compute",
        "workers see again what readers compute",
    ]
    assert fleet.last == ["pg", 0, 3, 0]


def test_threads_do_not_miscount(guests, fleet):
    def compute(_):
        for _ in range(500):
            with guests.computing("pg"):
                pass

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(compute, range(8)))
    guests.report()
    assert fleet.last == ["pg", 0, 4000, 0]


def test_a_begin_and_an_end_are_reported_by_themselves_and_soon(reporting, fleet, eventually):
    began = time.monotonic()
    with reporting.computing("pg"):
        eventually(lambda: fleet.sent)
        assert time.monotonic() - began < 1
        assert fleet.last[:2] == ["pg", 1]
    eventually(lambda: fleet.last[:2] == ["pg", 0])


def test_a_long_computation_is_renewed_in_time(reporting, fleet, eventually):
    with reporting.computing("pg"):
        eventually(lambda: len(fleet.sent) >= 4)
    assert all(report[:3] == ["pg", 1, 1] for _, report in fleet.sent[:4])


def test_many_short_computations_are_a_few_reports(reporting, fleet, eventually):
    began = time.monotonic()
    for _ in range(1000):
        with reporting.computing("pg"):
            pass
    eventually(lambda: fleet.sent and fleet.last == ["pg", 0, 1000, fleet.last[3]])
    assert len(fleet.sent) <= 2 + (time.monotonic() - began) / module.GATHER_S


def test_the_thread_waits_out_an_outage_and_reports_then(reporting, fleet, eventually, monkeypatch):
    monkeypatch.setattr(module, "RETRY_S", 0.05)
    fleet.is_away = True
    with reporting.computing("pg"):
        pass
    eventually(lambda: reporting._outage.is_on)
    fleet.is_away = False
    eventually(lambda: fleet.sent and fleet.last == ["pg", 0, 1, 0])


def test_the_thread_ends_when_idle_and_another_takes_over(reporting, fleet, eventually, monkeypatch):
    monkeypatch.setattr(module, "IDLE_S", 0.05)
    for started in (1, 2):
        with reporting.computing("pg"):
            pass
        eventually(lambda started=started: fleet.sent and fleet.last[1:3] == [0, started])
        eventually(lambda: not reporting._thread.is_alive)


def test_a_forked_child_counts_anew_and_under_another_name(reporting, fleet, eventually):
    with reporting.computing("pg"):
        eventually(lambda: fleet.sent)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                with reporting.computing("pg"):
                    reporting.report()
                process, report = fleet.sent[-1]
                os.write(writer, f"{process} {report}".encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        told = os.read(reader, 1000).decode()
    os.close(reader)
    os.close(writer)
    assert told.endswith("['pg', 1, 1, 0]")
    assert not told.startswith(fleet.sent[0][0])


def test_a_computation_that_began_before_a_fork_may_end_after_it(guests, fleet):
    with guests.computing("pg"):
        guests._reset_after_fork()
    assert guests.report()
    assert fleet.sent == []


def test_close_reports_what_is_unsent_and_ends_the_thread(fleet, eventually):
    guests = ReaderUsage(fleet, timeout_s=10)
    with guests.computing("pg"):
        pass
    guests.close()
    assert fleet.last == ["pg", 0, 1, 0]
    eventually(lambda: not guests._thread.is_alive)


def test_close_waits_for_no_redis_that_is_known_to_be_away(guests, fleet):
    with guests.computing("pg"):
        fleet.is_away = True
        assert not guests.report()
    fleet.is_away = False
    guests.close()
    assert fleet.sent == []


def test_an_interpreter_that_starts_no_threads_computes_all_the_same(fleet, monkeypatch, caplog):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    guests = ReaderUsage(fleet, timeout_s=10)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with caplog.at_level(logging.WARNING, "warmer.limits"), guests.computing("pg"):
        pass
    assert "can't start new thread" in caplog.text
    guests.close()
    assert fleet.last == ["pg", 0, 1, 0]
