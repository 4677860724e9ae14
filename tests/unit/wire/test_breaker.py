"""A server that has failed a read is left alone until a probe has succeeded."""

import logging
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import exceptions

from warmer.wire.breaker import FIRST_PAUSE_S, LONGEST_PAUSE_S, RELAPSE_S, Breaker, is_outage
from warmer.wire.prober import Prober


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (exceptions.ConnectionError("gone"), True),
        (exceptions.TimeoutError("late"), True),
        (exceptions.BusyLoadingError("LOADING"), True),
        (exceptions.AuthenticationError("NOAUTH"), True),
        (exceptions.MasterDownError("MASTERDOWN"), True),
        (exceptions.ResponseError("WRONGTYPE"), False),
        (exceptions.NoPermissionError("NOPERM"), False),
        (exceptions.ReadOnlyError("READONLY"), False),
        (ValueError("not of Redis"), False),
    ],
)
def test_only_errors_that_the_next_read_would_meet_as_well_are_outages(error, expected):
    assert is_outage(error) is expected


def test_the_first_failure_opens_and_only_a_probe_closes():
    breaker = Breaker()
    assert not breaker.is_open
    assert breaker.failed(now_s=10.0, began_s=9.9) is True
    assert breaker.failed(now_s=10.1, began_s=9.9) is False, "it is open already"
    assert breaker.is_open
    assert breaker.probe_at_s == 10.0 + FIRST_PAUSE_S
    assert breaker.probe_succeeded(now_s=10.5) == 0.5
    assert not breaker.is_open


@given(st.integers(1, 30))
def test_pauses_double_up_to_the_longest(failures):
    breaker = Breaker()
    breaker.failed(0.0, 0.0)
    for _ in range(failures):
        now_s = breaker.probe_at_s
        breaker.probe_failed(now_s)
        assert FIRST_PAUSE_S < breaker.probe_at_s - now_s <= LONGEST_PAUSE_S
    assert breaker.probe_at_s - now_s == pytest.approx(min(FIRST_PAUSE_S * 2**failures, LONGEST_PAUSE_S))


def test_a_read_that_began_before_the_end_of_the_outage_opens_nothing():
    breaker = Breaker()
    breaker.failed(now_s=1.0, began_s=0.9)
    breaker.probe_succeeded(now_s=2.0)
    assert breaker.failed(now_s=2.1, began_s=1.9) is False
    assert breaker.failed(now_s=2.1, began_s=2.05) is True


def test_a_relapse_is_probed_later_and_a_new_outage_soon():
    breaker = Breaker()
    breaker.failed(0.0, 0.0)
    breaker.probe_succeeded(0.1)
    breaker.failed(0.2, 0.2)
    assert breaker.probe_at_s == pytest.approx(0.2 + 2 * FIRST_PAUSE_S)
    breaker.probe_succeeded(1.0)
    later_s = 1.1 + RELAPSE_S
    breaker.failed(later_s, later_s)
    assert breaker.probe_at_s == pytest.approx(later_s + FIRST_PAUSE_S)


class Watched:
    """Something that is back when told so."""

    def __init__(self, is_needed=True):
        self.breaker = Breaker()
        self.is_back = threading.Event()
        self.probed = threading.Semaphore(0)
        self.is_needed = is_needed

    def __str__(self):
        return "the server"

    def probe(self):
        self.probed.release()
        if not self.is_back.is_set():
            raise exceptions.ConnectionError("redis://:s3cret@db:6379 is away")
        return self.is_needed


@pytest.fixture
def watch():
    made = Prober(__import__("time").monotonic)
    yield made
    made.close()


def watchers():
    return [thread for thread in threading.enumerate() if thread.name == "warmer-watch"]


def test_what_is_away_is_probed_until_it_is_back_and_then_the_thread_ends(watch, eventually):
    watched = Watched()
    watch.failed(watched, exceptions.TimeoutError("late"), took_s=0.1)
    assert watched.probed.acquire(timeout=5)
    assert watched.probed.acquire(timeout=5)
    assert watched.breaker.is_open
    watched.is_back.set()
    eventually(lambda: not watched.breaker.is_open)
    eventually(lambda: not watchers())


def test_a_new_outage_is_probed_though_another_waits_longer(watch, eventually):
    old, new = Watched(), Watched()
    watch.failed(old, exceptions.TimeoutError("late"), took_s=0.1)
    for _ in range(3):
        assert old.probed.acquire(timeout=5)
    new.is_back.set()
    watch.failed(new, exceptions.TimeoutError("late"), took_s=0.1)
    eventually(lambda: not new.breaker.is_open)
    assert old.breaker.is_open


def test_an_outage_is_logged_once_and_its_end_too_without_credentials(watch, eventually, caplog):
    watched = Watched()
    with caplog.at_level(logging.WARNING, logger="warmer.reads"):
        for _ in range(5):
            watch.failed(watched, exceptions.ConnectionError("redis://:s3cret@db:6379 refused"), took_s=0.0)
        watched.is_back.set()
        eventually(lambda: len(caplog.records) > 1 and not watchers())
    said = [record.getMessage() for record in caplog.records]
    assert [("away" in line, "back" in line) for line in said] == [(True, False), (False, True)]
    assert "s3cret" not in "".join(said)


def test_what_is_not_needed_any_more_is_left(watch, eventually, caplog):
    watched = Watched(is_needed=False)
    watched.is_back.set()
    watch.failed(watched, exceptions.ConnectionError("gone"), took_s=0.0)
    eventually(lambda: not watchers())
    assert "left for another server" in caplog.text


def test_closing_ends_the_thread_at_once(watch, eventually):
    watched = Watched()
    watch.failed(watched, exceptions.ConnectionError("gone"), took_s=0.0)
    watch.close()
    eventually(lambda: not watchers(), within_s=5)
    assert watched.breaker.is_open


def test_a_server_that_has_answered_another_read_since_is_slow_but_not_away():
    breaker = Breaker()
    breaker.answered_at_s = 5.1
    assert not breaker.failed(now_s=5.25, began_s=5.0, is_timeout=True)
    assert breaker.failed(now_s=5.4, began_s=5.15, is_timeout=True), "nobody has been answered since"


def test_a_refused_connection_is_an_outage_whoever_was_answered_since():
    breaker = Breaker()
    breaker.answered_at_s = 5.1
    assert breaker.failed(now_s=5.25, began_s=5.0)
