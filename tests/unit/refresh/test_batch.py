"""Batches: one call for many values; who fails is found, and nobody else suffers."""

import asyncio
import enum
import math
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer import InvalidTaskError, NotImportableError, WarmingTask, warmed
from warmer.client.warmed_function import Warmed
from warmer.errors import ComputationFailedError, ComputeTimeoutError
from warmer.refresh.batch import computing_many
from warmer.refresh.effects import arun, run
from warmer.refresh.refreshed import Computed
from warmer.refresh.single_flight import is_own
from warmer.tasks.loading import check_importable
from warmer.tasks.registry import Registry


def load_one(n: int) -> int:
    return n * n


def load_all(numbers: list[int]) -> dict[int, int]:
    return {n: n * n for n in numbers}


def load_offer(shop: str, product_id: int) -> str:
    return f"{shop}/{product_id}"


def task(compute_many_fn=load_all, **values: object) -> WarmingTask:
    fields = {"task_id": "square", "cache_key": "square:{n}", "compute_fn": load_one}
    return WarmingTask(**{**fields, "compute_many_fn": compute_many_fn, **values})


def targets(made: WarmingTask, numbers):
    return [made.target(n=n) for n in numbers]


def compute(compute_many_fn, numbers, timeout_s=None, **options) -> list[Computed]:
    made = task(compute_many_fn)
    return run(computing_many(made, targets(made, numbers), timeout_s, **options))


def values(parts: list[Computed]) -> list[object]:
    return [part.value if part.error is None else type(part.error).__name__ for part in parts]


# --- what is asked and what comes -------------------------------------------------------------------------------------
def test_all_are_asked_for_by_one_call_and_answered_in_their_order():
    calls = []

    def load(numbers):
        calls.append(list(numbers))
        return {n: n * n for n in reversed(numbers)}

    assert values(compute(load, [3, 1, 2])) == [9, 1, 4]
    assert calls == [[3, 1, 2]]


def test_nothing_asked_is_nothing_called():
    assert compute(lambda numbers: 1 / 0, []) == []


def test_what_is_not_in_the_answer_is_none_and_what_was_not_asked_for_is_left_aside():
    assert values(compute(lambda numbers: {1: "one", 99: "not asked for"}, [1, 2])) == ["one", None]
    assert values(compute(lambda numbers: {}, [1, 2])) == [None, None]


def test_several_fields_are_asked_for_as_tuples_in_the_order_of_the_parameters():
    asked = []

    def load(pairs):
        asked.append(pairs)
        return {(shop, product_id): f"{shop}/{product_id}" for shop, product_id in pairs}

    for compute_fn in (load_offer, f"{__name__}:load_offer"):
        made = WarmingTask(
            task_id="t", cache_key="offer:{product_id}:{shop}", compute_fn=compute_fn, compute_many_fn=load
        )
        wanted = [made.target(shop="north", product_id=1), made.target(shop="south", product_id=2)]
        assert values(run(computing_many(made, wanted, None))) == ["north/1", "south/2"]
    assert asked == [[("north", 1), ("south", 2)]] * 2


def test_a_function_that_names_no_parameters_is_asked_in_the_order_of_the_template():
    def anything(**arguments):
        return arguments

    made = WarmingTask(
        task_id="t",
        cache_key="x:{b}:{a}",
        compute_fn=anything,
        compute_many_fn=lambda pairs: dict.fromkeys(pairs, pairs),
    )
    [part] = run(computing_many(made, [made.target(a=1, b=2)], None))
    assert part.value == [(2, 1)]


def test_a_batch_function_may_be_a_coroutine_or_anything_else_that_is_called():
    async def load(numbers):
        await asyncio.sleep(0)
        return load_all(numbers)

    class Loader:
        async def __call__(self, numbers):
            return load_all(numbers)

    made = [load, Loader(), partial(lambda factor, numbers: {n: factor * n * n for n in numbers}, 1)]
    for function in (*made, "tests.unit.refresh.test_batch:load_all"):
        assert values(compute(function, [1, 2])) == [1, 4]
        one = task(function)
        with ThreadPoolExecutor(1) as threads:
            assert values(asyncio.run(arun(computing_many(one, targets(one, [1, 2]), 60), threads))) == [1, 4]


def test_arguments_that_a_dict_cannot_tell_apart_are_asked_for_by_different_calls():
    made = WarmingTask(
        task_id="t", cache_key="t:{n}", compute_fn=lambda n: n, compute_many_fn=lambda keys: {n: repr(n) for n in keys}
    )
    wanted = [made.target(n=value) for value in (1, True, 1.0, 2, "1")]
    assert values(run(computing_many(made, wanted, None))) == ["1", "True", "1.0", "2", "'1'"]


def test_an_argument_that_can_be_no_key_fails_alone_and_says_why():
    made = WarmingTask(
        task_id="t", cache_key="t:{n}", compute_fn=_of_lists, compute_many_fn=lambda keys: dict.fromkeys(keys, 1)
    )
    [part] = run(computing_many(made, [made.target(n=[1])], None))
    with pytest.raises(InvalidTaskError, match=r"keyed by the arguments, but \[1\] cannot be a key"):
        raise part.error


def _of_lists(n: list[int]) -> int:
    return len(n)


def test_a_function_may_change_its_list():
    def load(numbers):
        found = load_all(numbers)
        numbers.clear()
        return found

    assert values(compute(load, [1, 2])) == [1, 4]


# --- who fails --------------------------------------------------------------------------------------------------------
@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), max_size=8))))
def test_every_culprit_gets_its_error_and_everybody_else_its_value(batch):
    count, culprits = batch
    calls = 0

    def load(numbers):
        nonlocal calls
        calls += 1
        if found := culprits.intersection(numbers):
            raise KeyError(max(found))
        return load_all(numbers)

    parts = compute(load, range(count))
    for n, part in enumerate(parts):
        if n in culprits:
            assert isinstance(part.error, KeyError)
            assert part.error.args == (n,)
        else:
            assert part[:2] == (n * n, None)
    assert calls <= 1 + 2 * len(culprits) * math.ceil(math.log2(max(count, 2)))


@pytest.mark.parametrize("answer", [None, [1, 2], "text"])
def test_an_answer_that_is_no_mapping_is_the_culprit_s_error(answer):
    parts = compute(lambda numbers: answer if 3 in numbers else load_all(numbers), range(5))
    assert values(parts) == [0, 1, 4, "ComputationFailedError", 16]
    assert f"must return a dict with the values by what it was asked for, got {type(answer).__name__}" in str(
        parts[3].error
    )


def test_an_answer_keyed_by_something_else_is_an_error_that_says_so_after_one_call():
    calls = []

    def load(numbers):
        calls.append(numbers)
        return {str(n): n for n in numbers}

    parts = compute(load, [1, 2, 3, 4])
    assert len(calls) == 1
    assert len({id(part.error) for part in parts}) == 4
    with pytest.raises(
        ComputationFailedError, match="asked for 1, 2, 3, and returned a dict of 4 other keys: '1', '2'"
    ):
        raise parts[0].error


def test_no_two_targets_share_an_exception():
    class OddError(Exception):
        def __init__(self, code, hint):
            super().__init__(f"{code}: {hint}")
            self.code = code

    the_one = OddError(7, "the same each time")

    def load(numbers):
        raise the_one

    parts = compute(load, range(4))
    assert len({id(part.error) for part in parts}) == 4
    assert {(type(part.error), str(part.error), part.error.code) for part in parts} == {
        (OddError, "7: the same each time", 7)
    }


@pytest.mark.parametrize("leaves_thread", [False, True])
def test_a_time_out_is_everybody_s_and_not_tried_again(leaves_thread):
    calls, over = [], threading.Event()

    def slow(numbers):
        calls.append(numbers)
        over.wait(10)

    async def aslow(numbers):
        calls.append(numbers)
        await asyncio.sleep(10)

    parts = compute(slow if leaves_thread else aslow, [1, 2, 3], 0.02, leaves_thread=leaves_thread)
    over.set()
    assert [type(part.error) for part in parts] == [ComputeTimeoutError] * 3
    assert len({id(part.error) for part in parts}) == 3
    assert calls == [[1, 2, 3]]


def test_an_exit_of_the_caller_s_ends_the_caller():
    for ending in (KeyboardInterrupt, SystemExit):
        calls = []

        def load(numbers, ending=ending, calls=calls):
            calls.append(numbers)
            raise ending

        with pytest.raises(ending):
            compute(load, [1, 2])
        assert len(calls) == 1


def test_an_exit_in_another_thread_is_the_culprit_s_error():
    def load(numbers):
        if 2 in numbers:
            raise SystemExit(3)
        return load_all(numbers)

    with ThreadPoolExecutor(1) as threads:
        assert values(threads.submit(compute, load, [1, 2, 3]).result()) == [1, "SystemExit", 9]


def test_a_cancellation_goes_through():
    began, cancelled = asyncio.Event(), []

    async def load(numbers):
        began.set()
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            cancelled.append(numbers)
            raise

    async def scene():
        made = task(load)
        computing = asyncio.create_task(arun(computing_many(made, targets(made, [1, 2]), 60), threads))
        await began.wait()
        computing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await computing

    with ThreadPoolExecutor(1) as threads:
        asyncio.run(scene())
    assert cancelled == [[1, 2]], "once, and not halved"


def test_a_function_that_ends_itself_with_a_cancellation_has_failed():
    async def load(numbers):
        raise asyncio.CancelledError

    assert values(compute(load, [1])) == ["ComputationFailedError"]


def test_a_path_that_leads_nowhere_is_everybody_s_error():
    parts = compute("warmer.nothing:load", [1, 2])
    assert [type(part.error) for part in parts] == [NotImportableError] * 2
    assert "compute_many_fn 'warmer.nothing:load' cannot be imported" in str(parts[0].error)


def test_a_path_that_leads_to_a_generator_is_everybody_s_error():
    [part] = compute(f"{__name__}:_yields", [1])
    assert "compute_many_fn must return a dict, but it is a generator function" in str(part.error)


def _yields(numbers):
    yield from numbers


# --- what else is known -----------------------------------------------------------------------------------------------
def test_the_time_of_a_call_is_shared_by_those_it_brought():
    clock = iter([0.0, 10.0, 10.0, 13.0, 13.0, 14.0])  # the whole fails after 10 s, its halves take 3 and 1

    def load(numbers):
        if len(numbers) == 3:
            raise ValueError
        return load_all(numbers)

    parts = compute(load, [1, 2, 3], monotonic_s=lambda: next(clock))
    assert [part.duration_s for part in parts] == [3.0, 0.5, 0.5]


def test_a_batch_knows_that_it_computes_all_its_keys():
    known = []

    def load(numbers):
        known.append([is_own(f"square:{n}") for n in (1, 2, 3, 4)])
        if len(numbers) > 1:
            raise ValueError
        return load_all(numbers)

    assert values(compute(load, [1, 2, 3])) == [1, 4, 9]
    assert known == [[True, True, True, False]] * 5, "also those of the other half: they are this batch's, too"
    assert not is_own("square:1")


# --- the task ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"cache_key": "squares", "compute_fn": dict}, "'squares' is only one; give the cache_key a field"),
        ({"compute_many_fn": _yields}, "compute_many_fn must return a dict, but it is a generator function"),
        ({"compute_many_fn": lambda: {}}, "compute_many_fn must take one list by position and return a dict"),
        ({"compute_many_fn": lambda a, b: {}}, "but it takes (a, b)"),
        ({"compute_many_fn": lambda *, numbers: {}}, "but it takes (*, numbers)"),
        ({"compute_many_fn": "no colon"}, "compute_many_fn: String should match pattern"),
        ({"compute_many_fn": 42}, "compute_many_fn: Input should be callable, got 42"),
        ({"batch_size": 0}, "batch_size: Input should be greater than or equal to 1, got 0"),
        ({"batch_size": 1001}, "batch_size: Input should be less than or equal to 1000"),
        ({"batch_wait_s": -0.1}, "batch_wait_s: Input should be greater than or equal to 0"),
        ({"batch_wait_s": 61}, "batch_wait_s: Input should be less than or equal to 60"),
        ({"batch_wait_s": math.nan}, "batch_wait_s: Input should be"),
        ({"limit": ""}, "limit: String should have at least 1 character"),
        ({"limit": "x" * 65}, "limit: String should have at most 64 characters"),
        ({"limit": "pg main"}, "limit: String should match pattern"),
        ({"isolation": "container"}, "isolation: Input should be 'thread' or 'process', got 'container'"),
    ],
)
def test_bad_input_gets_one_clear_error(fields, words):
    with pytest.raises(InvalidTaskError) as refused:
        task(**fields)
    assert words in str(refused.value)


def test_without_a_word_nothing_is_batched_limited_or_isolated():
    made = WarmingTask(task_id="t", cache_key="k", compute_fn=dict)
    assert (made.compute_many_fn, made.compute_many_path, made.batch_size, made.batch_wait_s) == (None, None, 100, 0.05)
    assert (made.limit, made.isolation) == (None, "thread")


def test_a_definition_names_the_batch_function_and_comes_back_with_this_process_s_own():
    made = task(batch_size=7, batch_wait_s=0, limit="pg-main", isolation="process")
    record = orjson.loads(made.definition())
    assert record["compute_many"] == f"{__name__}:load_all"
    assert (record["batch_size"], record["batch_wait_s"], record["limit"], record["isolation"]) == (
        7,
        0,
        "pg-main",
        "process",
    )
    back = WarmingTask.from_definition(record, load_one, {}, load_all)
    assert back.definition() == made.definition()
    assert WarmingTask.from_definition(record).compute_many_fn is None
    assert orjson.loads(task(None).definition())["compute_many"] is None


def test_a_definition_of_before_there_were_batches_is_understood():
    record = orjson.loads(task(None).definition())
    for name in ("compute_many", "batch_size", "batch_wait_s", "limit", "isolation"):
        del record[name]
    registry = Registry()
    registry.add(task(None))
    resolved = registry.resolve(orjson.dumps(record))
    assert resolved is not None
    assert resolved.batch_size == 100


def test_a_worker_knows_a_task_only_with_the_batch_function_that_it_names():
    registry = Registry()
    registry.add(task())
    resolved = registry.resolve(task(batch_size=5).definition())
    assert resolved is not None
    assert (resolved.compute_many_fn, resolved.batch_size) == (load_all, 5)
    assert registry.resolve(task(None).definition()) is None
    assert registry.resolve(task("shop:load_all").definition()) is None


def test_a_copied_or_pickled_task_keeps_its_batch_function():
    made = task(limit="pg-main", isolation="process")
    assert pickle.loads(pickle.dumps(made)) == made
    assert made.model_copy(update={"ttl": 5}).compute_many_fn is load_all


def test_a_batch_function_that_workers_cannot_import_is_refused():
    check_importable(task())
    with pytest.raises(NotImportableError, match=r"compute_many_fn is a lambda .*which workers cannot import; move it"):
        check_importable(task(lambda numbers: {}))
    with pytest.raises(NotImportableError, match="leads to another object than the compute_many_fn given"):
        check_importable(task(partial(load_all)))
    with pytest.raises(NotImportableError, match="compute_many_fn 'warmer:nothing' cannot be imported"):
        check_importable(task("warmer:nothing"))


def test_a_task_for_processes_of_their_own_says_who_cannot_import_it():
    with pytest.raises(NotImportableError) as refused:
        check_importable(task(lambda numbers: {}, isolation="process"))
    assert "which the processes of isolation='process' cannot import" in str(refused.value)
    assert "or compute in threads (isolation='thread')" in str(refused.value)


def test_a_decorator_takes_a_batch_function_and_all_that_belongs_to_it():
    @warmed(
        "batched:{n}", batch=load_all, batch_size=10, batch_wait_s=0.5, limit="pg-main", isolation="thread", task_id="b"
    )
    def square(n: int) -> int:
        return n * n

    assert isinstance(square, Warmed)
    made = square.task
    assert (made.compute_many_fn, made.batch_size, made.batch_wait_s, made.limit) == (load_all, 10, 0.5, "pg-main")


class Colour(enum.Enum):
    RED = "red"


@given(st.lists(st.one_of(st.dates(), st.sampled_from(Colour)), unique=True, max_size=20))
def test_what_is_asked_for_is_in_the_types_of_the_annotation(days):
    def load(day: date | Colour) -> str:
        return repr(day)

    made = WarmingTask(
        task_id="t", cache_key="t:{day}", compute_fn=load, compute_many_fn=lambda keys: {day: load(day) for day in keys}
    )
    there = [made.target_of_ref(made.target(day=day).ref) for day in days]
    assert values(run(computing_many(made, there, None))) == list(map(load, days))


def test_halving_takes_no_longer_than_it_must():
    began_s = time.perf_counter()
    parts = compute(lambda numbers: 1 / 0, range(1000))
    assert values(parts) == ["ZeroDivisionError"] * 1000
    assert time.perf_counter() - began_s < 5
