"""The benchmarks' own arithmetic: figures are only worth what computes them."""

import asyncio
import socket
import threading

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contenders.contender import Contender, gather
from measuring.cases import value_of
from measuring.figures import figures_of
from measuring.promises import Promise, exit_code
from measuring.round_trips import CountingProxy
from measuring.rounds import crowded_hits


@given(st.integers(24, 3000))
def test_a_value_has_exactly_the_bytes_that_were_asked_for(size_bytes):
    assert len(orjson.dumps(value_of(size_bytes))) == size_bytes


def test_no_two_records_are_the_same_so_that_no_serializer_keeps_one_for_both():
    records = value_of(65536)["records"]
    assert len({orjson.dumps(record) for record in records}) == len(records) > 500


@given(st.lists(st.floats(0.5, 20), min_size=1, max_size=50))
def test_a_ratio_is_not_moved_by_a_drift_that_hits_a_whole_round(moods):
    samples = {"bare": [40 * mood for mood in moods], "slow": [60 * mood for mood in moods]}
    bare, slow = figures_of(samples, {"bare": "base", "slow": "rival"})
    assert bare.ratio == pytest.approx(1.0)
    assert slow.ratio == pytest.approx(1.5)


def test_figures_stand_in_the_order_of_their_medians():
    samples = {"b": [2.0, 2.0, 9.0], "a": [1.0, 8.0, 1.0], "base": [3.0, 3.0, 3.0]}
    figures = figures_of(samples, {"b": "ours", "a": "rival", "base": "base"})
    assert [figure.name for figure in figures] == ["a", "b", "base"]
    assert [figure.median_us for figure in figures] == [1.0, 2.0, 3.0]


def test_a_run_in_which_one_promise_fails_does_not_exit_with_0():
    assert exit_code([Promise("a", "1", True), Promise("b", "2", True)]) == 0
    assert exit_code([Promise("a", "1", True), Promise("b", "2", False)]) == 1


def test_a_rival_that_cannot_be_imported_is_told_and_not_left_out_silently():
    def missing(url, compute):
        raise ModuleNotFoundError("No module named 'rival'")
        yield

    there = Contender("there", "rival", lambda key: key)
    field = gather({"there": lambda url, compute: [there], "rival": missing}, "redis://x", lambda key: key)
    assert field.contenders == [there]
    assert "No module named 'rival'" in field.absent["rival"]
    assert "warmer[bench]" in field.absent["rival"]


def test_readers_of_a_crowd_never_read_the_same_key_at_the_same_moment():
    read = []

    async def note(key):
        read.append(key)
        await asyncio.sleep(0)

    keys = [f"key {number}" for number in range(10)]
    asyncio.run(crowded_hits(Contender("noting", "rival", note), keys, 3)())
    assert len(read) == 30
    assert all(sorted(read[step : step + 10]) == sorted(keys) for step in (0, 10, 20))


@pytest.fixture
def echo():
    """A server that answers each line with itself."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as lines:
                for line in lines:
                    connection.sendall(line)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def test_a_pipeline_is_one_round_trip_and_each_awaited_answer_is_one(echo):
    with CountingProxy(echo) as proxy, socket.create_connection(("127.0.0.1", proxy.port)) as client:
        answers = client.makefile("rb")
        client.sendall(b"one\ntwo\nthree\n")
        assert [answers.readline() for _ in range(3)] == [b"one\n", b"two\n", b"three\n"]
        assert proxy.round_trips == 1
        for number in (2, 3):
            client.sendall(b"again\n")
            assert answers.readline() == b"again\n"
            assert proxy.round_trips == number
