"""Async warmed functions and the twins with an ``a``: as the sync ones, and the loop is never held up."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from decimal import Decimal
from functools import wraps
from typing import Any

import pytest
from pydantic import BaseModel

import warmer as library
from warmer import (
    AsyncWarmed,
    CodecError,
    InvalidTaskError,
    StoreUnavailableError,
    UnknownTaskError,
    WaitTimeoutError,
    WarmingTask,
)


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on a loop of its own."""

    @wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    return run


class Product(BaseModel):
    id: int
    price: Decimal = Decimal("1.50")


@dataclass(frozen=True)
class Place:
    row: int


@pytest.fixture
def calls() -> list[Any]:
    return []


@pytest.fixture
def product(warmer, calls):
    @warmer.warmed("product:{product_id}", ttl=60)
    async def product(product_id: int) -> Product:
        """One product."""
        calls.append(product_id)
        await asyncio.sleep(0)
        return Product(id=product_id)

    warmer.start()
    return product


@on_a_loop
async def test_a_call_computes_once_and_then_reads(product, calls):
    assert await product(7) == await product("7") == await product(product_id=7) == Product(id=7)
    assert calls == [7]


def test_async_functions_make_async_ones(product):
    assert type(product) is AsyncWarmed
    assert asyncio.iscoroutinefunction(product.__call__)
    assert product.key(7) == "product:7"


@on_a_loop
async def test_everything_a_sync_one_can_do_is_awaited(warmer, product, calls):
    assert await product.get(1, default="nothing") == "nothing"
    assert await product.many([1, {"product_id": 2}, (1,)]) == [Product(id=n) for n in (1, 2, 1)]
    assert sorted(calls) == [1, 2]
    assert await product.get(2) == await warmer.aget("product:2") == Product(id=2)
    assert await product.refresh(2) == Product(id=2)
    assert calls.count(2) == 2
    await product.invalidate(2)
    assert await product.get(2) is None
    assert await warmer.aget_many(["product:1", "product:2"]) == {"product:1": Product(id=1)}


@on_a_loop
async def test_readers_on_one_loop_compute_once(product, calls):
    assert await asyncio.gather(*(product(5) for _ in range(100))) == [Product(id=5)] * 100
    assert calls == [5]


@on_a_loop
async def test_the_event_loop_goes_on_while_redis_and_functions_take_their_time(warmer):
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.005)

    @warmer.warmed("slow", ttl=60)
    async def slow() -> str:
        await asyncio.sleep(0.1)
        return "slow"

    turning = asyncio.create_task(turn())
    assert await slow() == "slow"
    assert await warmer.aget_or_compute("blocking", lambda: time.sleep(0.1) or "in a thread") == "in a thread"
    await warmer.aset("k", 1)
    turning.cancel()
    assert turns >= 20


@on_a_loop
async def test_errors_are_raised_where_they_are_awaited(warmer, product):
    @warmer.warmed("broken:{n}", ttl=60)
    async def broken(n: int) -> int:
        raise LookupError(f"no {n}")

    with pytest.raises(LookupError, match="no 1"):
        await broken(1)
    with pytest.raises(LookupError, match="no 1"):
        await broken.many([1, 1])
    with pytest.raises(LookupError, match="no 1"):
        await broken.refresh(1)
    with pytest.raises(InvalidTaskError, match="must be of type int"):
        await product("x")


@on_a_loop
async def test_a_handle_can_be_awaited_any_number_of_times(warmer, product, calls):
    handle = await product.warm(3)
    with pytest.raises(WaitTimeoutError, match="was not warmed within 0 s"):
        await handle.within(0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(handle, 0.05)
    waiting = [asyncio.create_task(handle.within(20)) for _ in range(20)]
    await asyncio.to_thread(warmer.start, embedded=True)
    outcomes = await asyncio.gather(*waiting)
    assert {outcome.result for outcome in outcomes} == {"published"}
    assert await handle is handle.outcome is handle.wait(0)
    assert calls == [3]
    assert await product(3) == Product(id=3)


def test_whoever_gives_up_a_handle_leaves_no_thread_behind(product):
    async def give_up() -> None:
        handle = await product.warm(3)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(handle, 0.05)

    began_s = time.monotonic()
    asyncio.run(give_up())  # which waits for the threads of its executor
    assert time.monotonic() - began_s < 2


@on_a_loop
async def test_an_unknown_task_cannot_be_warmed(warmer, product):
    await asyncio.to_thread(warmer.register, product.task)
    warmer.unregister(product.task.task_id)
    with pytest.raises(UnknownTaskError, match="not registered"):
        await product.warm(1)
    assert await product(1) == Product(id=1)


@on_a_loop
async def test_many_computes_side_by_side_but_only_so_many(warmer):
    now, most = 0, 0

    @warmer.warmed("crowd:{n}", ttl=60)
    async def crowd(n: int) -> int:
        nonlocal now, most
        now += 1
        most = max(now, most)
        await asyncio.sleep(0.02)
        now -= 1
        return n

    wanted = list(range(100))
    assert await crowd.many(wanted) == wanted
    assert 1 < most <= 32
    assert await crowd.many(iter(wanted)) == wanted


@on_a_loop
async def test_one_function_is_used_from_many_loops(product, calls):
    async def read() -> list[Product]:
        return await product.many([1, 2])

    found = await asyncio.gather(*(asyncio.to_thread(asyncio.run, read()) for _ in range(8)))
    assert found == [[Product(id=1), Product(id=2)]] * 8
    assert sorted(calls) == [1, 2]


@on_a_loop
async def test_without_redis_calls_compute_and_reads_miss(make_warmer):
    warmer = make_warmer(redis_url="redis://127.0.0.1:1/0", redis_timeout_s=0.2)

    @warmer.warmed("place:{row}", ttl=60)
    async def place(row: int) -> Place:
        return Place(row)

    assert await place(1) == Place(1)
    assert await place.many([1, 2]) == [Place(1), Place(2)]
    assert await place.get(1, default="away") == await warmer.aget("k", "away") == "away"
    assert await warmer.aget_many(["k"]) == {}
    assert await warmer.aget_or_compute("k", lambda: 1) == 1
    for unable in (place.refresh(1), place.warm(1), place.invalidate(1), warmer.aset("k", 1), warmer.ainvalidate("k")):
        with pytest.raises(StoreUnavailableError):
            await unable


@pytest.fixture
def default(server, namespace):
    yield library.configure(redis_url=server.url, namespace=namespace, embedded=True)
    library.configure(embedded=True)


@on_a_loop
async def test_the_twins_of_the_module_do_what_their_names_say(default):
    await library.aset("k", [1], ttl=60)
    assert await library.aget("k") == [1]
    assert await library.aget_many(["k", "other"]) == {"k": [1]}
    await library.ainvalidate("k")
    assert await library.aget("k", "gone") == "gone"

    async def compute() -> int:
        return 42

    assert await library.aget_or_compute("k", compute, ttl=60) == 42
    assert await library.aget_or_compute("k", lambda: 43, ttl=60) == 42
    with pytest.raises(CodecError, match="'odd'"):
        await library.aset("odd", object())
    with pytest.raises(InvalidTaskError, match="ttl must be a number"):
        await library.aset("k", 1, ttl=0)
    with pytest.raises(InvalidTaskError, match="a cache key must be"):
        await library.aget("")


@on_a_loop
async def test_a_task_s_async_function_can_be_had_without_a_decorator(default):
    async def load(row: int) -> Place:
        return Place(row)

    place = library.warmed(WarmingTask(task_id="place", cache_key="place:{row}", compute_fn=load, ttl=60))
    assert await place(3) == await library.aget("place:3") == Place(3)
