"""The benchmarks' own arithmetic: figures are only worth what computes them."""

import asyncio
import socket
import threading

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import histories
import policy
import scale
import warm_throughput
from contenders.contender import Contender, gather
from measuring.figures import figures_of
from measuring.pace import Look, p99, pace_per_s
from measuring.policy.frontiers import Case, Removed, mean_removed
from measuring.policy.traces import ALL, QUICK
from measuring.promises import Promise, exit_code
from measuring.reads.round_trips import CountingProxy
from measuring.reads.values import value_of
from measuring.rounds import crowded_hits
from measuring.store.history_store import Cost, Flood
from measuring.store.store_calls import chunks
from measuring.warming import warming_tasks


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


@given(st.floats(10, 50_000), st.floats(0, 30), st.integers(2, 400), st.floats(0.001, 0.5), st.integers(1, 500))
def test_a_pace_is_that_of_the_work_and_not_of_the_start_before_it(per_s, start_s, looks, every_s, chunk):
    total = round(looks * every_s * per_s)
    assume(total >= 3 * max(chunk, per_s * every_s))

    def counted(at_s):
        return min(total, chunk * int(max(0.0, at_s - start_s) * per_s / chunk) if at_s < end_s else total)

    end_s = start_s + total / per_s
    moments = [number * every_s for number in range(int(end_s / every_s) + 3)]
    found = pace_per_s([Look(at_s, counted(at_s)) for at_s in moments])
    slack = (per_s * every_s + chunk) / (total - per_s * every_s - chunk)
    assert per_s / (1 + 2 * slack) <= found <= per_s * (1 + 2 * slack)


def test_looks_after_the_end_do_not_slow_a_pace_down():
    looks = [Look(0.0, 0), Look(1.0, 10), Look(2.0, 30), Look(9.0, 30)]
    assert pace_per_s(looks) == 20.0


@pytest.mark.parametrize("looks", [[Look(0.0, 0), Look(1.0, 30)], [Look(0.0, 0), Look(1.0, 0)]])
def test_a_pace_that_cannot_be_told_is_refused(looks):
    with pytest.raises(ValueError, match="measure more"):
        pace_per_s(looks)


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=300))
def test_the_99th_percentile_is_the_least_that_at_most_one_of_a_hundred_exceeds(measured):
    above = [value for value in measured if value > p99(measured)]
    assert len(above) <= len(measured) / 100
    assert len(above) + measured.count(p99(measured)) > len(measured) / 100


@given(st.lists(st.integers(), max_size=2000))
def test_chunks_are_the_list_again_and_none_is_more_than_one_call_takes(numbers):
    parts = list(chunks(numbers))
    assert [number for part in parts for number in part] == numbers
    assert all(0 < len(part) <= 500 for part in parts)


def throughput(one_worker_us, waiting_us):
    """An outcome in which RQ takes 2,500 µs for a key and a bare SET takes 8."""

    def brought(work, times_us):
        return warm_throughput.Measured(work, {way.name: [times_us.get(way.name, 2500.0)] for way in work.ways})

    free = brought(warm_throughput.free_work(1), {warm_throughput.BARE: 8.0, warm_throughput.ONE_WORKER: one_worker_us})
    waiting = brought(
        warm_throughput.waiting_work(1), dict(zip(warm_throughput.WAITING.values(), waiting_us, strict=True))
    )
    return warm_throughput.Outcome({}, free, waiting)


@pytest.mark.parametrize(
    ("one_worker_us", "waiting_us", "held"),
    [
        (50, (625, 156.25), [True, True, True, True]),
        (51, (650, 160), [False, True, True, True]),
        (65, (660, 160), [False, False, False, True]),
        (40, (650, 170), [True, True, True, False]),
    ],
)
def test_throughput_is_judged_by_rq_by_bare_sets_and_by_the_ceiling_of_waits(one_worker_us, waiting_us, held):
    promises = warm_throughput.judged(throughput(one_worker_us, waiting_us))
    assert [promise.is_held for promise in promises] == held


def test_the_ceiling_of_waits_is_their_number_divided_by_how_long_they_take():
    waiting = throughput(50, (625, 156.25)).waiting
    assert [waiting.ceiling_per_s(name) for name in warm_throughput.WAITING.values()] == [1600, 6400]
    assert waiting.keys_per_s(warm_throughput.WAITING[32]) == 1600


def sized(targets, bytes_each, slowdown):
    return scale.Size(targets, bytes_each, {}, 1.0, 1.0, slowdown, 1.0, 1.0)


@pytest.mark.parametrize(
    ("bytes_each", "slowdown", "held"),
    [(400, 2.0, [True, True]), (401, 2.0, [False, True]), (400, 2.01, [True, False])],
)
def test_scale_is_judged_by_the_bytes_and_the_tick_of_the_largest_number_of_targets(bytes_each, slowdown, held):
    sizes = [sized(10_000, 500, 1.0), sized(1_000_000, bytes_each, slowdown)]
    promises = scale.judged(scale.Outcome({}, 50, sizes, None, {}))
    assert [promise.is_held for promise in promises] == held


@pytest.mark.parametrize(
    ("history_bytes", "flush_us", "flood", "held"),
    [
        (64.0, 15.0, Flood(10**7, 1000, 64_000, 1.05, 0.95, 0.95), [True] * 5),
        (64.1, 15.1, Flood(10**7, 1001, 64_000, 1.06, 0.94, 1.0), [False] * 5),
        (60.0, 12.0, Flood(10**7, 1000, 64_001, 1.0, 1.0, 0.94), [True, True, False, True, False]),
    ],
)
def test_histories_are_judged_by_their_bytes_their_flush_and_what_a_flood_leaves(history_bytes, flush_us, flood, held):
    costs = Cost(flush_us, 2 * flush_us), Cost(30.0, 50.0)
    sizes = [histories.Size(100_000, history_bytes, 120.0, *costs)]
    promises = histories.judged(histories.Outcome({}, 50, sizes, flood, capacity=1000))
    assert [promise.is_held for promise in promises] == held


def test_what_is_stored_is_the_same_whoever_warms_it():
    numbers = [1, 2, 3]
    assert warming_tasks.compute_many(numbers) == {number: warming_tasks.compute(number) for number in numbers}
    assert warming_tasks.wait(7) == asyncio.run(warming_tasks.async_wait(7)) == warming_tasks.value_of(7)


NASA = Case("nasa", 900.0)


def removed(policy_name, *parts, case=NASA):
    return Removed(case, policy_name, dict(zip(policy.EXTRA_COMPUTES, parts, strict=True)))


def test_a_mean_is_over_all_cases():
    found = [removed("rlfu", 0.1, 0.2, 0.3, 0.4), removed("rlfu", 0.3, 0.4, 0.5, 0.6, case=Case("nasa", 60.0))]
    assert mean_removed(found, "rlfu", 0.05) == pytest.approx(0.2)


def test_every_trace_that_is_replayed_is_there_with_its_source():
    readme = (ALL[0].file.parent / "README.md").read_text()
    for recorded in (*ALL, *QUICK):
        assert recorded.file.exists()
        assert f"| {recorded.name} |" in readme
    cases = {Case(recorded.name, ttl_s) for recorded in ALL for ttl_s in recorded.ttls_s}
    assert set(policy.MIN_REMOVED) <= cases
