"""Drains: whatever a task does or a definition says, its claim is completed, and the others go on."""

import asyncio
import threading
from dataclasses import dataclass

import orjson
import pytest

from tests.support.flow import drain
from tests.support.runtimes import store_of
from warmer import WarmingTask


@pytest.fixture
def running(warmer):
    warmer.start()
    return warmer


def register(warmer, task_id: str, compute, **values: object) -> None:
    defaults = {"task_id": task_id, "cache_key": f"{task_id}:key", "compute_fn": compute, "critical": True}
    warmer.register(WarmingTask(**{**defaults, **values}))


def detail(warmer, task_id: str):
    return next(task for task in warmer.stats()["task_details"] if task["task_id"] == task_id)


def exit_process() -> None:
    raise SystemExit(3)


def be_cancelled() -> None:
    raise asyncio.CancelledError


async def time_out_by_itself() -> None:
    raise TimeoutError("the database did not answer")


@pytest.mark.parametrize(
    ("compute", "words"),
    [
        (exit_process, "SystemExit: 3"),
        (be_cancelled, "CancelledError"),
        (time_out_by_itself, "TimeoutError: the database did not answer"),
        (lambda: object(), "CodecError"),
        (lambda: (1, 2), "CodecError"),
    ],
)
def test_whatever_a_computation_raises_or_returns_is_a_failure_with_backoff(running, compute, words):
    register(running, "bad", compute)
    register(running, "good", lambda: 1)
    drain(running)
    assert running.get("good:key") == 1
    failed = detail(running, "bad")
    assert failed["fail_count"] == 1
    assert words in failed["last_error"]
    assert store_of(running).control.zcard(store_of(running).keys.claims) == 0
    assert store_of(running).control.zscore(store_of(running).keys.due, "bad") > store_of(running).reads.hottest(0)[0]


def test_an_async_computation_past_its_time_out_is_cancelled(running):
    cancelled = threading.Event()

    async def hang() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    register(running, "hangs", hang, timeout_s=0.1)
    drain(running)
    assert cancelled.wait(5)
    assert "ComputeTimeoutError: took longer than its timeout_s of 0.1 s" in detail(running, "hangs")["last_error"]


def test_a_sync_computation_past_its_time_out_is_not_waited_for(running):
    go_on = threading.Event()
    register(running, "hangs", lambda: go_on.wait(30), timeout_s=0.1)
    register(running, "good", lambda: 1)
    drain(running)
    assert "took longer than its timeout_s" in detail(running, "hangs")["last_error"]
    assert running.get("good:key") == 1
    go_on.set()


def test_what_comes_while_the_event_loop_is_blocked_is_computed_on_another(running):
    go_on, computed_on = threading.Event(), set()

    async def compute() -> int:
        computed_on.add(threading.current_thread())
        return 1

    async def block() -> None:
        register(running, "good", compute)
        go_on.wait(30)

    register(running, "blocks", block, timeout_s=0.3)
    draining = threading.Thread(target=drain, args=(running,), daemon=True)
    draining.start()
    draining.join(10)
    assert not draining.is_alive()
    assert running.get("good:key") == 1
    assert "took longer than its timeout_s" in detail(running, "blocks")["last_error"]
    assert store_of(running).control.zcard(store_of(running).keys.claims) == 0
    go_on.set()
    assert len(computed_on) == 1


def test_who_began_before_the_one_that_blocks_the_event_loop_is_not_blamed(running):
    go_on = threading.Event()

    async def nap() -> int:
        await asyncio.sleep(0.05)
        return 1

    async def block() -> None:
        go_on.wait(30)

    for number in range(5):
        register(running, f"good-{number}", nap, timeout_s=0.2, priority=9)
    register(running, "blocks", block, timeout_s=0.3)
    drain(running)
    assert [running.get(f"good-{number}:key") for number in range(5)] == [1] * 5
    assert [detail(running, f"good-{number}")["fail_count"] for number in range(5)] == [0] * 5
    assert detail(running, "blocks")["fail_count"] == 1
    go_on.set()


def test_a_drain_whose_threads_all_hang_goes_on_while_it_waits_for_a_long_computation(make_warmer, eventually):
    warmer = make_warmer(concurrency=1)
    warmer.start()
    go_on = threading.Event()

    async def take_long() -> int:
        while not go_on.is_set():
            await asyncio.sleep(0.05)
        return 2

    register(warmer, "long", take_long)
    register(warmer, "hangs", lambda: go_on.wait(30), timeout_s=0.1, priority=9)
    register(warmer, "good", lambda: 1)
    draining = threading.Thread(target=drain, args=(warmer,), daemon=True)
    draining.start()
    try:
        eventually(lambda: warmer.get("good:key") == 1, 6)
        assert warmer.get("long:key") is None
    finally:
        go_on.set()
        draining.join(10)
    assert warmer.get("long:key") == 2


def test_arguments_that_no_longer_fit_the_template_are_refused_and_let_go(running):
    register(running, "profile", lambda user_id: 1, cache_key="user:{user_id}")
    running.warm("profile", {"user_id": 1})
    register(running, "profile", lambda uid: 1, cache_key="user:{uid}")
    for _ in range(6):
        drain(running)
        for ref in store_of(running).control.zrange(store_of(running).keys.due, 0, -1):
            store_of(running).control.zadd(store_of(running).keys.due, {ref: 1_600_000_000_000})
        store_of(running).refreshes.tick()
    assert store_of(running).targets.backlog() == 0
    assert store_of(running).control.zcard(store_of(running).keys.due) == 0
    assert "takes the arguments ['uid']" in detail(running, "profile")["last_error"]


def test_a_definition_with_more_fields_than_we_know_is_understood(running):
    register(running, "t", lambda: 1)
    record = {**store_of(running).tasks.definitions()["t"], "from_the_future": [1]}
    store_of(running).control.hset(store_of(running).keys.definitions, "t", orjson.dumps(record))
    assert drain(running) == 1
    assert running.get("t:key") == 1


def test_a_definition_that_makes_no_sense_fails_alone(running):
    register(running, "broken", lambda: 1)
    register(running, "good", lambda: 1)
    record = {**store_of(running).tasks.definitions()["broken"], "ttl": -1}
    store_of(running).control.hset(store_of(running).keys.definitions, "broken", orjson.dumps(record))
    drain(running)
    assert running.get("good:key") == 1
    assert "ttl" in detail(running, "broken")["last_error"]


def test_callables_that_cannot_be_hashed_are_run(running):
    @dataclass
    class Loader:
        value: int

        def __call__(self) -> int:
            return self.value

    register(running, "t", Loader(7))
    drain(running)
    assert running.get("t:key") == 7


def test_a_value_that_redis_refuses_is_a_failure_with_backoff(running, monkeypatch):
    from redis.exceptions import ResponseError

    def refuse(*arguments):
        raise ResponseError("string exceeds maximum allowed size")

    register(running, "t", lambda: 1)
    monkeypatch.setattr(store_of(running).entries, "publish_many", refuse)
    drain(running)
    assert "not cached: ResponseError: string exceeds" in detail(running, "t")["last_error"]
    assert store_of(running).control.exists(store_of(running).keys.lease("t:key")) == 0
    assert store_of(running).control.zscore(store_of(running).keys.due, "t") > store_of(running).reads.hottest(0)[0]


def test_nothing_is_claimed_once_asked_to_stop(running):
    register(running, "t", lambda: 1)
    stop = threading.Event()
    stop.set()
    assert drain(running, stop) == 0
    assert store_of(running).targets.backlog() == 1


def test_concurrency_is_bounded_and_used(make_warmer):
    running = make_warmer(concurrency=3)
    running.start()
    barrier, lock, now, most = threading.Barrier(3), threading.Lock(), [0], [0]

    def compute() -> int:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        barrier.wait(10)  # three at a time, or this breaks
        with lock:
            now[0] -= 1
        return 1

    for number in range(9):
        register(running, f"t{number}", compute)
    assert drain(running) == 9
    assert most[0] == 3
