"""Many missing values of a task with a batch function: few calls, each value once, and nobody loses what is good."""

import asyncio
import threading
import time
from collections import Counter
from functools import partial

import pytest

from tests.support.interleaving import Beside, Gate, both_kinds
from tests.support.leases import hold_lease, lease_of, make_stale, misses, waiting_for_leader
from tests.support.runtimes import runtime_of, store_of
from warmer import ComputationFailedError, WaitTimeoutError
from warmer.cache.miss_handler import MAX_BATCHES_AT_ONCE
from warmer.codec.entry import pack, unpack


class Squares:
    """A source that computes squares in batches, and keeps a record of its calls."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.singles: list[int] = []
        self.culprits: dict[int, Exception] = {}
        self.at_once = self.most_at_once = 0
        self.before_answer = lambda numbers: None
        self._lock = threading.Lock()

    @property
    def computed(self) -> Counter[int]:
        return Counter(n for numbers in self.calls for n in numbers)

    def load_all(self, numbers: list[int]) -> dict[int, int | None]:
        with self._lock:
            self.calls.append(list(numbers))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self.before_answer(numbers)
        finally:
            with self._lock:
                self.at_once -= 1
        for n in numbers:
            if n in self.culprits:
                raise self.culprits[n]
        return {n: n * n for n in numbers}

    def declare(self, warmer, is_async: bool = False, **options):
        """Make a warmed function of it; of an async one the batches run in threads of their own."""
        if is_async:

            async def square(n: int) -> int | None:
                self.singles.append(n)
                return n * n
        else:

            def square(n: int) -> int | None:
                self.singles.append(n)
                return n * n

        return warmer.warmed("square:{n}", **{"task_id": "square", "batch": self.load_all, **options})(square)


@pytest.fixture
def squares() -> Squares:
    return Squares()


def many(square, arguments, is_async: bool):
    if not is_async:
        return square.many(arguments)

    async def read():
        return await square.many(arguments)

    return asyncio.run(read())


def nothing_is_left(warmer, numbers) -> bool:
    held = runtime_of(warmer).miss_handler._refresher.renewer._held
    tasks = [task for tasks in runtime_of(warmer).miss_handler._runner._tasks.values() for task in tasks]
    leases = [lease_of(warmer, f"square:{n}") for n in numbers]
    return not (any(leases) or runtime_of(warmer).miss_handler._flights._flights or tasks or held)


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


# --- few calls --------------------------------------------------------------------------------------------------------
@both_kinds
def test_a_thousand_missing_keys_are_ten_calls(warmer, squares, is_async):
    square = squares.declare(warmer, is_async, batch_size=100)
    assert many(square, range(1000), is_async) == [n * n for n in range(1000)]
    assert sorted(map(len, squares.calls)) == [100] * 10
    assert many(square, range(1000), is_async) == [n * n for n in range(1000)]
    assert len(squares.calls) == 10
    assert squares.singles == []
    assert nothing_is_left(warmer, range(1000))


@both_kinds
def test_only_what_is_missing_is_computed_once_and_the_order_is_kept(warmer, squares, is_async):
    square = squares.declare(warmer, is_async, batch_size=3)
    many(square, [1, 2], is_async)
    assert many(square, [5, 2, (3,), {"n": 4}, 5, 6, 1, 7], is_async) == [25, 4, 9, 16, 25, 36, 1, 49]
    assert squares.computed == Counter(range(1, 8))
    assert sorted(map(len, squares.calls)) == [2, 2, 3]
    assert many(square, [], is_async) == []


def test_a_single_missing_value_is_still_the_compute_function_s(warmer, squares):
    square = squares.declare(warmer)
    assert square(3) == 9
    assert (squares.singles, squares.calls) == ([3], [])


def test_a_batch_function_of_several_fields(warmer):
    asked = []

    def load_offers(pairs):
        asked.append(pairs)
        return {(shop, number): f"{shop}/{number}" for shop, number in pairs}

    @warmer.warmed("offer:{number}:{shop}", batch=load_offers)
    def offer(shop: str, number: int) -> str:
        return ""

    assert offer.many([("north", 1), {"number": 2, "shop": "south"}]) == ["north/1", "south/2"]
    assert asked == [[("north", 1), ("south", 2)]]


@both_kinds
def test_a_coroutine_computes_batches_too(warmer, is_async):
    calls = []

    async def load_all(numbers):
        calls.append(numbers)
        await asyncio.sleep(0)
        return {n: n * n for n in numbers}

    square = Squares().declare(warmer, is_async, batch=load_all)
    assert many(square, [1, 2, 3], is_async) == [1, 4, 9]
    assert calls == [[1, 2, 3]]


def test_an_async_reader_s_batches_run_side_by_side_but_only_so_many(warmer, squares):
    square = squares.declare(warmer, is_async=True, batch_size=5)
    together = threading.Barrier(MAX_BATCHES_AT_ONCE)
    squares.before_answer = lambda numbers: together.wait(10)
    numbers = range(5 * 3 * MAX_BATCHES_AT_ONCE)
    assert many(square, numbers, is_async=True) == [n * n for n in numbers]
    assert squares.most_at_once == MAX_BATCHES_AT_ONCE


def test_what_is_not_there_is_cached_as_none_for_its_own_time(warmer):
    calls = []

    def load_all(numbers):
        calls.append(numbers)
        return {n: n for n in numbers if n != 2}

    square = Squares().declare(warmer, batch=load_all, ttl=600, negative_ttl=5, jitter=0)
    assert square.many([1, 2]) == square.many([1, 2]) == [1, None]
    assert calls == [[1, 2]]
    header, _ = unpack(store_of(warmer).entries.read("square:2"))
    assert header.fresh_until_ms - header.computed_at_ms == 5_000


def test_an_entry_s_cost_is_its_share_of_the_call(warmer, squares):
    square = squares.declare(warmer)
    squares.before_answer = lambda numbers: time.sleep(0.1)
    square.many(range(10))
    header, _ = unpack(store_of(warmer).entries.read("square:3"))
    assert 10_000 <= header.compute_us < 50_000


def test_what_was_computed_is_recorded_as_after_single_misses(warmer, squares):
    square = squares.declare(warmer)
    square.many(range(5))
    assert len(runtime_of(warmer).miss_recorder._unrecorded) == 5
    runtime_of(warmer).background.tick()
    assert not runtime_of(warmer).miss_recorder._unrecorded
    reviewed = store_of(warmer).control.zrange(store_of(warmer).keys.reviews, 0, -1)
    assert sorted(reviewed) == [f'square{{"n":{n}}}'.encode() for n in range(5)], "to be decided when they expire"


# --- errors -----------------------------------------------------------------------------------------------------------
@both_kinds
def test_the_first_error_is_raised_after_all_others_are_cached(warmer, squares, is_async):
    squares.culprits = {7: KeyError("seven"), 3: OSError("three")}
    square = squares.declare(warmer, is_async, batch_size=4)
    with pytest.raises(OSError, match="three"):
        many(square, range(10), is_async)
    assert warmer.get_many(f"square:{n}" for n in range(10)) == {
        f"square:{n}": n * n for n in range(10) if n not in (3, 7)
    }
    assert nothing_is_left(warmer, range(10))
    squares.culprits.clear()
    assert many(square, range(10), is_async) == [n * n for n in range(10)]
    assert squares.calls[-1] == [3, 7]


@both_kinds
def test_an_error_that_the_task_wants_cached_is_cached_for_the_culprit_alone(warmer, squares, is_async):
    squares.culprits = {1: KeyError("none such")}
    square = squares.declare(warmer, is_async, cache_errors={KeyError: 30})
    for _ in range(2):
        with pytest.raises(KeyError, match="none such"):
            many(square, [0, 1, 2], is_async)
    assert len(squares.calls) == 5, "three in all, then halves: [0], [1, 2], [1] and [2]"
    assert many(square, [0, 2], is_async) == [0, 4]


@both_kinds
def test_a_value_that_cannot_be_cached_fails_alone(warmer, is_async):
    def load_all(numbers):
        return {n: object() if n == 1 else n for n in numbers}

    square = Squares().declare(warmer, is_async, batch=load_all)
    with pytest.raises(Exception, match="square:1"):
        many(square, [0, 1, 2], is_async)
    assert warmer.get_many(["square:0", "square:1", "square:2"]) == {"square:0": 0, "square:2": 2}
    assert nothing_is_left(warmer, range(3))


def test_a_time_out_is_that_of_a_whole_call_and_the_others_go_on(warmer, squares):
    over = threading.Event()
    squares.before_answer = lambda numbers: over.wait(10) if 1 in numbers else None
    square = squares.declare(warmer, batch_size=2, timeout_s=0.1)
    with pytest.raises(Exception, match=r"took longer than its timeout_s of 0\.1 s"):
        square.many(range(4))
    over.set()
    assert squares.calls == [[0, 1], [2, 3]]
    assert warmer.get_many(f"square:{n}" for n in range(4)) == {"square:2": 4, "square:3": 9}


# --- with others ------------------------------------------------------------------------------------------------------
@both_kinds
def test_of_many_readers_of_overlapping_sets_each_value_is_computed_once(warmer, squares, is_async):
    square = squares.declare(warmer, is_async, batch_size=7)
    wanted = [range(start, start + 60) for start in range(0, 80, 10)]
    readers = [Beside(partial(many, square, numbers, is_async)) for numbers in wanted]
    assert [reader.result() for reader in readers] == [[n * n for n in numbers] for numbers in wanted]
    assert squares.computed == Counter(range(130))
    assert nothing_is_left(warmer, range(130))


@both_kinds
def test_of_many_processes_each_value_is_computed_once_and_the_work_is_shared(make_warmer, is_async):
    processes = [(make_warmer(), Squares()) for _ in range(3)]
    declared = [source.declare(warmer, is_async, batch_size=10) for warmer, source in processes]
    for _, source in processes:
        source.before_answer = lambda numbers: time.sleep(0.02)
    all_started = threading.Barrier(3)

    def read(square):
        all_started.wait(10)
        return many(square, range(200), is_async)

    readers = [Beside(partial(read, square)) for square in declared]
    assert [reader.result() for reader in readers] == [[n * n for n in range(200)]] * 3
    assert sum((source.computed for _, source in processes), Counter()) == Counter(range(200))
    assert all(source.calls for _, source in processes)
    assert all(nothing_is_left(warmer, range(200)) for warmer, _ in processes)


@both_kinds
def test_a_single_read_waits_for_the_batch_that_computes_its_value(make_warmer, squares, eventually, is_async):
    warmer = make_warmer(flush_s=60, tick_s=60)
    gate = Gate(None)
    squares.before_answer = lambda numbers: gate()
    square = squares.declare(warmer, is_async)
    batch = Beside(partial(many, square, [1, 2, 3], is_async))
    assert gate.entered.wait(10)
    single = Beside.in_loop(lambda: square(2)) if is_async else Beside(lambda: square(2))
    eventually(lambda: misses(warmer) == 4)
    assert not single.is_done
    gate.may_go_on.set()
    assert (batch.result(), single.result()) == ([1, 4, 9], 4)
    assert squares.singles == []


@both_kinds
def test_what_another_process_computes_is_waited_for_after_all_else_is_there(
    make_warmer, squares, eventually, is_async
):
    warmer, other = make_warmer(), make_warmer()
    square, gate = squares.declare(warmer, is_async, batch_size=2), Gate(16)
    elsewhere = Beside(lambda: other.get_or_compute("square:4", gate, ttl=60))
    assert gate.entered.wait(10)
    reader = Beside(partial(many, square, [4, 1, 2, 3], is_async))
    eventually(lambda: len(warmer.get_many(["square:1", "square:2", "square:3"])) == 3)
    assert not reader.is_done
    gate.may_go_on.set()
    assert reader.result() == [16, 1, 4, 9]
    assert elsewhere.result() == 16
    assert 4 not in squares.computed


@both_kinds
def test_what_a_dead_process_left_is_computed_together(make_warmer, squares, eventually, is_async):
    warmer = make_warmer(lease_timeout_s=0.5)
    square = squares.declare(warmer, is_async)
    for n in range(5):
        hold_lease(warmer, f"square:{n}")
    began_s = time.monotonic()
    assert many(square, range(10), is_async) == [n * n for n in range(10)]
    assert time.monotonic() - began_s >= 0.4
    assert squares.computed == Counter(range(10))
    assert len(squares.calls) <= 3, "all that lapsed at one time by one call"


@both_kinds
def test_a_failure_elsewhere_is_told_to_those_who_wait_for_it(make_warmer, squares, eventually, is_async):
    warmer, other = make_warmer(), make_warmer()
    square, gate = squares.declare(warmer, is_async), Gate(ValueError("gone"))
    source = Squares()
    source.before_answer = lambda numbers: gate()
    elsewhere = Beside(partial(source.declare(other).many, [2]))
    assert gate.entered.wait(10)
    reader = Beside(partial(many, square, [1, 2], is_async))
    waiting_for_leader(warmer, eventually)
    gate.may_go_on.set()
    with pytest.raises(ValueError, match="gone"):
        elsewhere.result()
    with pytest.raises(ComputationFailedError, match="ValueError: gone"):
        reader.result()
    assert squares.computed == Counter([1])


@both_kinds
def test_who_may_not_compute_after_waiting_raises_and_the_others_are_cached(warmer, squares, is_async):
    square = squares.declare(warmer, is_async, wait_s=0.1, after_wait="raise")
    hold_lease(warmer, "square:2")
    with pytest.raises(WaitTimeoutError, match=r"another computation of 'square:2' has not ended within 0\.1 s"):
        many(square, [1, 2, 3], is_async)
    assert warmer.get_many(["square:1", "square:2", "square:3"]) == {"square:1": 1, "square:3": 9}
    assert lease_of(warmer, "square:2") == b"another process"


@both_kinds
def test_who_has_waited_in_vain_computes_without_a_lease_by_one_call(warmer, squares, is_async):
    square = squares.declare(warmer, is_async, wait_s=0.1)
    for n in (2, 3, 4):
        hold_lease(warmer, f"square:{n}")
    assert many(square, [1, 2, 3, 4], is_async) == [1, 4, 9, 16]
    assert squares.calls == [[1], [2, 3, 4]]
    assert warmer.get_many(f"square:{n}" for n in (1, 2, 3, 4)) == {"square:1": 1}


@both_kinds
def test_who_takes_a_stale_value_after_waiting_has_that(warmer, squares, is_async):
    square = squares.declare(warmer, is_async, wait_s=0.1, after_wait="stale", stale_ttl=600)
    hold_lease(warmer, "square:2")

    def publish(numbers):
        store_of(warmer).entries.release_lease("square:2", "another process")
        warmer.set("square:2", 22, ttl=600)
        make_stale(warmer, "square:2")
        hold_lease(warmer, "square:2")

    squares.before_answer = publish
    assert many(square, [1, 2], is_async) == [1, 22]


@both_kinds
def test_a_fresh_entry_that_cannot_be_read_is_replaced(warmer, squares, is_async):
    square = squares.declare(warmer, is_async)
    many(square, [1, 2], is_async)
    name = store_of(warmer).keys.entry("square:2")
    header, _ = unpack(store_of(warmer).control.get(name))
    store_of(warmer).control.set(name, pack(header, b"{torn"), px=60_000)
    assert many(square, [1, 2, 3], is_async) == [1, 4, 9]
    assert warmer.get_many(["square:2"]) == {"square:2": 4}


# --- in trouble -------------------------------------------------------------------------------------------------------
@both_kinds
def test_a_value_computed_before_an_invalidation_is_not_published(warmer, squares, is_async):
    square = squares.declare(warmer, is_async)
    squares.before_answer = lambda numbers: warmer.invalidate("square:2")
    assert many(square, [1, 2, 3], is_async) == [1, 4, 9], "its own caller gets what it computed"
    assert warmer.get_many(f"square:{n}" for n in (1, 2, 3)) == {"square:1": 1, "square:3": 9}


def test_leases_are_renewed_while_a_batch_computes(make_warmer, squares, eventually):
    warmer, gate = make_warmer(lease_timeout_s=0.5), Gate(None)
    square = squares.declare(warmer)
    squares.before_answer = lambda numbers: gate()
    reader = Beside(lambda: square.many(range(5)))
    assert gate.entered.wait(10)
    holders = [lease_of(warmer, f"square:{n}") for n in range(5)]
    lapsing_s = time.monotonic() + 1.2
    eventually(lambda: time.monotonic() > lapsing_s)
    assert [lease_of(warmer, f"square:{n}") for n in range(5)] == holders
    gate.may_go_on.set()
    assert reader.result() == [0, 1, 4, 9, 16]
    assert len(warmer.get_many(f"square:{n}" for n in range(5))) == 5


@both_kinds
def test_without_redis_batches_are_computed_so_many_calls_at_once(make_warmer, squares, is_async):
    warmer = make_warmer(redis_url="redis://127.0.0.1:1/0", redis_timeout_s=0.2, computations_without_redis=1)
    square = squares.declare(warmer, is_async, batch_size=5)
    squares.before_answer = lambda numbers: time.sleep(0.01)
    wanted = [range(start, start + 20) for start in (0, 20, 40)]
    readers = [Beside(partial(many, square, numbers, is_async)) for numbers in wanted]
    assert [reader.result() for reader in readers] == [[n * n for n in numbers] for numbers in wanted]
    assert squares.most_at_once == 1
    assert squares.computed == Counter(range(60))


@both_kinds
def test_when_redis_dies_in_the_middle_the_values_are_returned(make_warmer, own_server, squares, is_async):
    warmer = make_warmer(redis_url=own_server.url, redis_timeout_s=0.5)
    square = squares.declare(warmer, is_async, batch_size=5)
    many(square, [100], is_async)
    squares.before_answer = lambda numbers: own_server.kill() if 0 in numbers else None
    assert many(square, range(15), is_async) == [n * n for n in range(15)]
    assert len(squares.calls) == 4


@both_kinds
def test_a_batch_function_may_read_what_it_computes_and_what_others_do(warmer, is_async):
    """It would wait for itself, or for the rest of its own batch."""
    calls = []

    @warmer.warmed("half:{n}")
    def half(n: int) -> float:
        return n / 2

    def load_all(numbers):
        calls.append(numbers)
        if len(numbers) > 1:
            raise ValueError("one at a time")
        return {n: [one_square(n), one_square(3 - n), half(n)] for n in numbers}

    def one_square(n: int) -> object:
        if is_async:
            return asyncio.run(square(n))
        return square(n)

    square = Squares().declare(warmer, is_async, batch=load_all, wait_s=30)
    began_s = time.monotonic()
    assert many(square, [1, 2], is_async) == [[1, 4, 0.5], [4, 1, 1.0]]
    assert time.monotonic() - began_s < 10
    assert calls == [[1, 2], [1], [2]]


def test_a_batch_function_may_read_many_of_its_own(warmer):
    def load_all(numbers):
        return dict(zip(numbers, square.many(numbers), strict=True))

    square = Squares().declare(warmer, batch=load_all)
    assert square.many([1, 2, 3]) == [1, 4, 9]


def test_others_get_the_values_when_the_reader_who_leads_is_cancelled(make_warmer, squares, eventually):
    warmer, gate = make_warmer(flush_s=60, tick_s=60), Gate(None)
    square = squares.declare(warmer, is_async=True, batch_size=2)
    squares.before_answer = lambda numbers: gate()

    async def scene():
        leader = asyncio.create_task(square.many(range(20)))
        await until(lambda: gate.calls == 4)
        follower = asyncio.create_task(square.many([0, 1]))
        await until(lambda: misses(warmer) == 22)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        gate.may_go_on.set()
        found = await follower
        await until(lambda: nothing_is_left(warmer, range(20)))
        return found

    assert Beside.in_loop(scene).result() == [0, 1]
    assert len(squares.calls) == 4, "what had not begun is not computed for nobody"
    assert len(warmer.get_many(f"square:{n}" for n in range(20))) == 8, "what had begun is cached"


def test_when_the_loop_that_computes_ends_a_thread_takes_over(make_warmer, squares, eventually):
    warmer, gate = make_warmer(flush_s=60, tick_s=60), Gate(None)
    may_end = threading.Event()
    source = Squares()

    async def stuck(numbers):
        source.calls.append(numbers)
        await gate.call()

    square = squares.declare(warmer, is_async=True, batch=stuck)

    async def scene():
        reading = asyncio.create_task(square.many([1, 2]))
        await until(may_end.is_set)
        assert not reading.done()

    loop = Beside.in_loop(scene)
    assert gate.entered.wait(10)
    follower = Beside(partial(squares.declare(warmer).many, [1, 2, 3]))
    eventually(lambda: misses(warmer) == 5)
    may_end.set()
    loop.result()
    assert follower.result() == [1, 4, 9]
    eventually(lambda: nothing_is_left(warmer, (1, 2, 3)))


@pytest.mark.parametrize("method", ["take_leases", "publish_many"])
def test_a_cancellation_in_the_middle_of_a_round_trip_leaves_no_lease(
    make_warmer, squares, monkeypatch, eventually, method
):
    warmer, held, go_on = make_warmer(), threading.Event(), threading.Event()
    square = squares.declare(warmer, is_async=True)
    entries = store_of(warmer).readers_entries
    original = getattr(entries, method)

    def slow(*args, **kwargs):
        outcome = original(*args, **kwargs)
        held.set()
        assert go_on.wait(10)
        return outcome

    monkeypatch.setattr(entries, method, slow)

    async def scene():
        reading = asyncio.create_task(square.many([1, 2, 3]))
        await until(held.is_set)
        tasks = [task for tasks in runtime_of(warmer).miss_handler._runner._tasks.values() for task in tasks]
        for task in (reading, *tasks):
            task.cancel()
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        await asyncio.gather(reading, *tasks, return_exceptions=True)

    Beside.in_loop(scene).result()
    eventually(lambda: nothing_is_left(warmer, (1, 2, 3)))


def test_ctrl_c_in_the_middle_leaves_nothing(warmer, squares):
    def interrupt(numbers):
        raise KeyboardInterrupt

    square = squares.declare(warmer, batch_size=2)
    squares.before_answer = interrupt
    with pytest.raises(KeyboardInterrupt):
        square.many(range(6))
    assert squares.calls == [[0, 1]]
    assert nothing_is_left(warmer, range(6))


def test_on_a_cluster_batches_are_as_large_as_anywhere(make_warmer, cluster, squares):
    warmer = make_warmer(cache_url=cluster.url)
    square = squares.declare(warmer, batch_size=50)
    assert square.many(range(200)) == square.many(range(200)) == [n * n for n in range(200)]
    assert list(map(len, squares.calls)) == [50] * 4
