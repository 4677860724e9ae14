"""Reads: found, counted, flushed once; heat and the judgement of refreshes."""

import asyncio
import threading
import time
from datetime import date

import pytest

from warmer import CodecError, InvalidTaskError, WarmingTask


def register(warmer, task_id: str = "t", **values: object) -> None:
    defaults = {"task_id": task_id, "cache_key": f"{task_id}:key", "compute_fn": lambda: {"of": task_id}}
    warmer.register(WarmingTask(**{**defaults, **values}))


def test_a_cached_none_is_a_value(warmer):
    assert warmer.get("k", "default") == "default"
    assert warmer.warm_cache("k", lambda: None, ttl=60)
    assert warmer.get("k", "default") is None


def test_get_or_compute_computes_once(warmer):
    calls: list[int] = []
    for _ in range(3):
        assert warmer.get_or_compute("k", lambda: calls.append(1) or 42, ttl=60) == 42
    assert len(calls) == 1


def test_async_functions_are_awaited(warmer):
    async def compute() -> str:
        return "awaited"

    assert warmer.get_or_compute("k", compute, ttl=60) == "awaited"
    assert warmer.warm_cache("k2", compute, ttl=60)
    assert warmer.get("k2") == "awaited"


def test_a_reader_gets_what_its_own_computation_raised(warmer):
    def fail() -> None:
        raise LookupError("no such product")

    with pytest.raises(LookupError, match="no such product"):
        warmer.get_or_compute("k", fail, ttl=60)
    assert warmer.get_or_compute("k", lambda: 1, ttl=60) == 1, "the lease was given up"
    assert warmer.performance()["failed"] == 1


@pytest.mark.parametrize("value", [None, "late"])
def test_a_value_older_than_its_ttl_is_handed_over_but_not_cached(warmer, value):
    def slow() -> str | None:
        time.sleep(0.05)
        return value

    assert warmer.get_or_compute("k", slow, ttl=0.02) == value
    assert warmer.get("k", "nothing") == "nothing"
    assert warmer.warm_cache("k", slow, ttl=0.02) is False
    assert warmer.performance()["failed"] >= 1


def test_what_cannot_be_cached_is_an_error_that_names_the_key(warmer):
    with pytest.raises(CodecError, match="'k'"):
        warmer.get_or_compute("k", object, ttl=60)
    assert warmer.warm_cache("k", object) is False


def test_a_thread_that_hangs_holds_others_up_only_within_bounds(make_warmer):
    warmer = make_warmer(lease_wait_s=0.2)
    entered, go_on = threading.Event(), threading.Event()

    def hang() -> str:
        entered.set()
        go_on.wait(30)
        return "late"

    thread = threading.Thread(target=warmer.get_or_compute, args=("k", hang, 60))
    thread.start()
    assert entered.wait(10)
    assert warmer.get_or_compute("k", lambda: "computed meanwhile", ttl=60) == "computed meanwhile"
    go_on.set()
    thread.join()
    assert warmer.get("k") == "late"


@pytest.mark.parametrize("key", ["", "x" * 513, None, 7])
def test_unusable_keys_are_refused(warmer, key):
    for read in (warmer.get, lambda key: warmer.get_or_compute(key, lambda: 1), warmer.invalidate):
        with pytest.raises(InvalidTaskError, match="cache key"):
            read(key)


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), True, "60", None])
def test_unusable_ttls_are_refused_before_computing(warmer, ttl):
    with pytest.raises(InvalidTaskError, match="ttl"):
        warmer.get_or_compute("k", lambda: pytest.fail("computed"), ttl=ttl)
    with pytest.raises(InvalidTaskError, match="ttl"):
        warmer.warm_cache("k", lambda: pytest.fail("computed"), ttl=ttl)


def test_reads_are_counted_by_task_and_in_all(warmer):
    register(warmer)
    warmer.get("t:key")
    warmer.warm_cache("t:key", lambda: 1)
    for _ in range(3):
        warmer.get("t:key")
    warmer.get("nobody's key")
    stats = warmer.stats()
    assert (stats["task_details"][0]["hits"], stats["task_details"][0]["misses"]) == (3, 1)
    assert stats["performance"]["hit_ratio"] == pytest.approx(3 / 5)


def test_a_miss_s_value_is_never_credited_to_warming(warmer):
    register(warmer)
    warmer.get_or_compute("t:key", lambda: 1, ttl=60)
    warmer.get("t:key")
    assert warmer.performance()["judged"] == 0
    assert warmer.performance()["total_warmings"] == 0


def test_a_typed_value_of_a_task_is_found_by_its_key_whoever_asks(warmer):
    @warmer.warmed("day:{n}", ttl=60)
    def day(n: int) -> date:
        return date(2026, 11, n)

    assert day(22) == date(2026, 11, 22)
    assert warmer.get("day:22") == date(2026, 11, 22)
    assert warmer.get_or_compute("day:22", lambda: pytest.fail("it is cached"), ttl=60) == date(2026, 11, 22)
    assert asyncio.run(warmer.aget_or_compute("day:22", lambda: pytest.fail("it is cached"))) == date(2026, 11, 22)
    assert warmer.get_many(["day:22", "day:23"]) == {"day:22": date(2026, 11, 22)}
