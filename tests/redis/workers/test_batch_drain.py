"""Batches as workers compute them: what is due of one task goes into one call of its batch function."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

import pytest

from tests.support.runtimes import runtime_of, store_of
from warmer import Limit, WarmingTask
from warmer_workers.drain import Drain
from warmer_workers.job_context import JobContext


class Loader:
    """A batch function that notes what it was asked for.

    Args:
        answer: What it returns for the numbers of a call.
    """

    def __init__(self, answer: Callable[[Sequence[int]], Mapping[int, int]]) -> None:
        self.calls: list[list[int]] = []
        self._answer = answer

    def __call__(self, numbers: list[int]) -> Mapping[int, int]:
        self.calls.append(list(numbers))
        return self._answer(numbers)


def squares(numbers: Sequence[int]) -> dict[int, int]:
    return {n: n * n for n in numbers}


def registered(warmer, loader: Callable[..., object], **options: object) -> WarmingTask:
    def square(n: int) -> int:
        raise AssertionError("what has a batch function is computed by it")

    task = WarmingTask(
        task_id="square", cache_key="square:{n}", compute_fn=square, compute_many_fn=loader, ttl=600, **options
    )
    warmer.start()
    warmer.register(task)
    return task


def make_due(warmer, task: WarmingTask, numbers: Sequence[int]) -> None:
    long_ago_ms = 1_600_000_000_000
    for n in numbers:
        assert store_of(warmer).targets.reschedule(task.target(n=n).ref, long_ago_ms)


def drain(warmer) -> int:
    return Drain(JobContext(runtime_of(warmer), "worker-1", threading.Event(), is_burst=True)).run()


def test_a_thousand_due_targets_in_batches_of_a_hundred_are_ten_calls(warmer):
    loader = Loader(squares)
    task = registered(warmer, loader, batch_size=100)
    make_due(warmer, task, range(1000))
    assert drain(warmer) == 1000
    assert [len(call) for call in loader.calls] == [100] * 10
    assert sorted(n for call in loader.calls for n in call) == list(range(1000))
    assert [warmer.get(f"square:{n}") for n in range(1000)] == [n * n for n in range(1000)]


def test_async_batches_are_computed_on_the_loop(warmer):
    threads = set()

    async def load(numbers: list[int]) -> dict[int, int]:
        threads.add(threading.current_thread().name)
        return squares(numbers)

    task = registered(warmer, load, batch_size=10)
    make_due(warmer, task, range(40))
    assert drain(warmer) == 40
    assert threads == {"warmer-drain-loop"}
    assert warmer.get("square:39") == 39 * 39


def test_what_is_missing_from_an_answer_is_none_and_kept_for_the_negative_ttl(warmer):
    task = registered(
        warmer, Loader(lambda numbers: squares([n for n in numbers if n != 7])), negative_ttl=30, jitter=0
    )
    make_due(warmer, task, [6, 7])
    assert drain(warmer) == 2
    assert (warmer.get("square:6"), warmer.get("square:7", "no entry")) == (36, None)
    header = store_of(warmer).entries.take_lease("square:7", "me").present
    assert header.fresh_until_ms - header.computed_at_ms == 30_000


def test_a_culprit_stands_alone_in_the_end_and_costs_the_others_nothing(warmer):
    def refuse_thirteen(numbers: Sequence[int]) -> dict[int, int]:
        if 13 in numbers:
            raise ValueError("thirteen")
        return squares(numbers)

    loader = Loader(refuse_thirteen)
    task = registered(warmer, loader, batch_size=32)
    make_due(warmer, task, range(32))
    assert drain(warmer) == 32
    assert [13] in loader.calls
    assert warmer.get_many(f"square:{n}" for n in range(32)) == {f"square:{n}": n * n for n in range(32) if n != 13}
    (failures,) = store_of(warmer).control.hgetall(store_of(warmer).keys.failures).items()
    assert failures == (b'square{"n":13}', b"1")
    assert warmer.performance().failed == 1


def test_who_has_failed_before_is_computed_alone(warmer):
    loader = Loader(squares)
    task = registered(warmer, loader, batch_size=10)
    make_due(warmer, task, range(5))
    store_of(warmer).control.hset(store_of(warmer).keys.failures, task.target(n=2).ref, 1)
    assert drain(warmer) == 5
    assert sorted(loader.calls, key=len) == [[2], [0, 1, 3, 4]]


def test_a_batch_that_takes_too_long_fails_as_a_whole_and_is_not_waited_for(warmer):
    over = threading.Event()
    task = registered(warmer, Loader(lambda numbers: over.wait(30) or {}), timeout_s=0.2)
    make_due(warmer, task, range(3))
    began_s = time.monotonic()
    drain(warmer)
    over.set()
    assert time.monotonic() - began_s < 10
    failed = store_of(warmer).control.hgetall(store_of(warmer).keys.failures)
    assert failed == {task.target(n=n).ref.encode(): b"1" for n in range(3)}
    assert store_of(warmer).control.zcard(store_of(warmer).keys.claims) == 0


def test_the_first_of_a_batch_waits_for_others_and_no_longer(warmer, eventually):
    loader = Loader(squares)
    task = registered(warmer, loader, batch_size=3, batch_wait_s=60)
    refs = [task.target(n=n).ref for n in range(3)]
    store_of(warmer).requests.submit(refs[:2], force=True)
    stop = threading.Event()
    working = threading.Thread(target=Drain(JobContext(runtime_of(warmer), "worker-1", stop)).run, daemon=True)
    working.start()
    try:
        assert not loader.calls
        store_of(warmer).requests.submit(refs[2:], force=True)
        eventually(lambda: loader.calls)
    finally:
        stop.set()
        working.join(10)
    assert loader.calls == [[0, 1, 2]]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_batch_takes_one_place_under_a_limit(make_warmer, concurrency):
    warmer = make_warmer(limits={"db": Limit(concurrency=concurrency, reserved=0)})
    runtime_of(warmer).background.tick()
    lock, running, most = threading.Lock(), [0], [0]

    def answer(numbers: Sequence[int]) -> dict[int, int]:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.02)
        with lock:
            running[0] -= 1
        return squares(numbers)

    task = registered(warmer, Loader(answer), batch_size=10, limit="db")
    make_due(warmer, task, range(60))
    assert drain(warmer) == 60
    assert most[0] == concurrency
    keys, control = store_of(warmer).keys, store_of(warmer).control
    assert (control.zcard(keys.limit_holders + "db"), control.hlen(keys.call_slots)) == (0, 0)
