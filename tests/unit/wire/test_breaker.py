"""A failed read opens a server's breaker, and only a successful probe closes it."""

import logging
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import exceptions

from warmer.wire.breaker import FIRST_PROBE_DELAY_S, MAX_PROBE_DELAY_S, RELAPSE_S, Breaker, is_outage
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
    assert breaker.record_failure(now_s=10.0, began_s=9.9) is True
    assert breaker.record_failure(now_s=10.1, began_s=9.9) is False, "it is open already"
    assert breaker.is_open
    assert breaker.probe_at_s == 10.0 + FIRST_PROBE_DELAY_S
    assert breaker.record_successful_probe(now_s=10.5) == 0.5
    assert not breaker.is_open


@given(st.integers(1, 30))
def test_probe_delays_double_up_to_the_maximum(failures):
    breaker = Breaker()
    breaker.record_failure(0.0, 0.0)
    for _ in range(failures):
        now_s = breaker.probe_at_s
        breaker.record_failed_probe(now_s)
        assert FIRST_PROBE_DELAY_S < breaker.probe_at_s - now_s <= MAX_PROBE_DELAY_S
    assert breaker.probe_at_s - now_s == pytest.approx(min(FIRST_PROBE_DELAY_S * 2**failures, MAX_PROBE_DELAY_S))


def test_a_read_that_began_before_the_end_of_the_outage_opens_nothing():
    breaker = Breaker()
    breaker.record_failure(now_s=1.0, began_s=0.9)
    breaker.record_successful_probe(now_s=2.0)
    assert breaker.record_failure(now_s=2.1, began_s=1.9) is False
    assert breaker.record_failure(now_s=2.1, began_s=2.05) is True


def test_a_relapse_is_probed_later_and_a_new_outage_soon():
    breaker = Breaker()
    breaker.record_failure(0.0, 0.0)
    breaker.record_successful_probe(0.1)
    breaker.record_failure(0.2, 0.2)
    assert breaker.probe_at_s == pytest.approx(0.2 + 2 * FIRST_PROBE_DELAY_S)
    breaker.record_successful_probe(1.0)
    later_s = 1.1 + RELAPSE_S
    breaker.record_failure(later_s, later_s)
    assert breaker.probe_at_s == pytest.approx(later_s + FIRST_PROBE_DELAY_S)


class FakeServer:
    """A server that answers probes once `is_back` is set."""

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
            raise exceptions.ConnectionError("redis://:s3cret@db:6379 is down")
        return self.is_needed


@pytest.fixture
def prober():
    made = Prober(time.monotonic)
    yield made
    made.close()


def prober_threads():
    return [thread for thread in threading.enumerate() if thread.name == "warmer-prober"]


def test_an_unavailable_server_is_probed_until_it_answers_and_then_the_thread_ends(prober, eventually):
    probed = FakeServer()
    prober.report_failure(probed, exceptions.TimeoutError("late"), took_s=0.1)
    assert probed.probed.acquire(timeout=5)
    assert probed.probed.acquire(timeout=5)
    assert probed.breaker.is_open
    probed.is_back.set()
    eventually(lambda: not probed.breaker.is_open)
    eventually(lambda: not prober_threads())


def test_a_new_outage_is_probed_though_another_waits_longer(prober, eventually):
    old, new = FakeServer(), FakeServer()
    prober.report_failure(old, exceptions.TimeoutError("late"), took_s=0.1)
    for _ in range(3):
        assert old.probed.acquire(timeout=5)
    new.is_back.set()
    prober.report_failure(new, exceptions.TimeoutError("late"), took_s=0.1)
    eventually(lambda: not new.breaker.is_open)
    assert old.breaker.is_open


def test_an_outage_is_logged_once_and_its_end_too_without_credentials(prober, eventually, caplog):
    probed = FakeServer()
    with caplog.at_level(logging.WARNING, logger="warmer.reads"):
        for _ in range(5):
            prober.report_failure(probed, exceptions.ConnectionError("redis://:s3cret@db:6379 refused"), took_s=0.0)
        probed.is_back.set()
        eventually(lambda: len(caplog.records) > 1 and not prober_threads())
    messages = [record.getMessage() for record in caplog.records]
    assert ["available again" in line for line in messages] == [False, True]
    assert "s3cret" not in "".join(messages)


def test_a_replaced_server_is_probed_no_more(prober, eventually, caplog):
    probed = FakeServer(is_needed=False)
    probed.is_back.set()
    prober.report_failure(probed, exceptions.ConnectionError("gone"), took_s=0.0)
    eventually(lambda: not prober_threads())
    assert "was replaced by another server" in caplog.text


def test_closing_ends_the_thread_at_once(prober, eventually):
    probed = FakeServer()
    prober.report_failure(probed, exceptions.ConnectionError("gone"), took_s=0.0)
    prober.close()
    eventually(lambda: not prober_threads(), within_s=5)
    assert probed.breaker.is_open


def test_a_timeout_is_no_outage_if_another_read_had_a_reply_since():
    breaker = Breaker()
    breaker.last_reply_at_s = 5.1
    assert not breaker.record_failure(now_s=5.25, began_s=5.0, is_timeout=True)
    assert breaker.record_failure(now_s=5.4, began_s=5.15, is_timeout=True), "no read has had a reply since"


def test_a_refused_connection_is_an_outage_even_if_another_read_had_a_reply_since():
    breaker = Breaker()
    breaker.last_reply_at_s = 5.1
    assert breaker.record_failure(now_s=5.25, began_s=5.0)
