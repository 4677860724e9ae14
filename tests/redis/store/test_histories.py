"""What Redis remembers of reads: the same as the Python model, in bounded memory, and right for the hottest."""

import random
from secrets import token_hex

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.flow import server_ms
from tests.support.runtimes import store_of
from warmer import WarmingTask
from warmer.policy.history import History

TTL_S = 60.0
EXACT = ("last_s", "gap", "value_reads", "fresh_until_s", "baseline_until_s", "decided_s", "flags", "decision")
DECAYED = ("reads_4", "reads_16", "sessions_64", "sessions_1024")


def register(warmer, task_id: str = "t", **values: object) -> None:
    given = {"task_id": task_id, "cache_key": task_id + ":{n}", "compute_fn": lambda n: n, "ttl": TTL_S, "jitter": 0}
    warmer.register(WarmingTask(**{**given, **values}))


def flush(warmer, *reads: tuple[str, int, int]) -> None:
    """Flush hits: each of a ref, how many, and when."""
    flush.number += 1
    batch = [(ref, "", count, 0, [], 0, at_ms, at_ms) for ref, count, at_ms in reads]
    assert store_of(warmer).reads.flush("reader", flush.number, batch)


flush.number = 0


def history(warmer, ref: str) -> History:
    """What is remembered of a target."""
    store = store_of(warmer)
    store.fleet.lead("test", 60)
    store.control.zadd(store.keys.reviews, {ref: 1})
    (target,) = [target for target in store.reviews.due("test", 500).targets if target.ref == ref]
    store.control.zrem(store.keys.reviews, ref)
    return History.unpack(target.history)


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(0, 400_000)), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_histories_in_redis_are_those_of_the_model(warmer, reads):
    register(warmer)
    ref = f't{{"n":"{token_hex(8)}"}}'  # another one for each example
    at_ms = server_ms(store_of(warmer)) - sum(gap_ms for _, gap_ms in reads)
    model = History()
    for count, gap_ms in reads:
        at_ms += gap_ms
        flush(warmer, (ref, count, at_ms))
        model.read(at_ms / 1000, count, TTL_S)
    found, expected = history(warmer, ref), History.unpack(model.pack())
    for name in EXACT:
        assert getattr(found, name) == getattr(expected, name), name
    for name in DECAYED:
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-5, abs=1e-5), name


def test_histories_outlive_the_division_of_buckets(warmer):
    register(warmer)
    now_ms = server_ms(store_of(warmer))
    for start in range(0, 3000, 500):
        flush(warmer, *[(f't{{"n":{n}}}', 1 + n % 7, now_ms) for n in range(start, start + 500)])
    assert int(store_of(warmer).control.hget(store_of(warmer).keys.history_meta, "buckets")) > 50
    assert [history(warmer, f't{{"n":{n}}}').value_reads for n in range(0, 3000, 101)] == [
        1 + n % 7 for n in range(0, 3000, 101)
    ]


def test_memory_is_bounded_whatever_keys_are_read_and_the_hottest_stay(make_warmer):
    warmer = make_warmer(history_capacity=2000, heat_capacity=1000)
    register(warmer)
    luck = random.Random(7)
    hottest = [f't{{"n":{n}}}' for n in range(100)]
    for batch in range(60):
        now_ms = server_ms(store_of(warmer))
        hostile = [(f't{{"n":{1000 + 500 * batch + n}}}', 1, now_ms) for n in range(500)]
        popular = [(ref, 3 + luck.randrange(5), now_ms) for ref in hottest]
        flush(warmer, *hostile, *popular)
    control, keys = store_of(warmer).control, store_of(warmer).keys
    buckets = list(control.scan_iter(f"{keys.history_buckets}*", count=1000))
    records = sum(control.strlen(bucket) for bucket in buckets) // 53
    assert records == int(control.hget(keys.history_meta, "histories")) <= 2000
    assert control.zcard(keys.heat) <= 1000
    assert {hot.ref for hot in store_of(warmer).reads.hottest(100)[1]} >= set(hottest[:95])
    assert all(history(warmer, ref).reads_16 > 100 for ref in hottest)


def test_a_miss_that_nobody_computes_has_its_target_reviewed(warmer):
    register(warmer)
    warmer.start()
    flush.number += 1
    store_of(warmer).reads.flush("reader", flush.number, [('t{"n":1}', "", 0, 1, [], 0, 0, 0)])
    assert store_of(warmer).control.zscore(store_of(warmer).keys.reviews, 't{"n":1}') > server_ms(store_of(warmer))
