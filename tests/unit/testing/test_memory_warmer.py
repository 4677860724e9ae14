"""`MemoryWarmer`: values go stale as the clock moves, and `drain` refreshes them without threads."""

import asyncio
import threading

import pytest

from warmer import StoreUnavailableError, WaitTimeoutError, WarmerError, WarmingTask
from warmer.testing import MemoryWarmer, Recorder, memory_server

pytest_plugins = ["pytester", "warmer.testing"]


class DatabaseAwayError(Exception):
    """What a user's own code raises."""


# --- the recorder ------------------------------------------------------------------------------------------------
def price(product_id: int, currency: str = "EUR") -> str:
    return f"{product_id} {currency}"


# --- values, as the clock moves ----------------------------------------------------------------------------------
def test_a_value_is_computed_once_while_it_is_fresh_and_again_when_it_has_expired(memory_warmer, warmer_clock):
    recorder = Recorder.of(price)
    priced = memory_warmer.warmed("price:{product_id}:{currency}", ttl=60, jitter=0)(recorder)
    assert [priced(1), priced(1)] == ["1 EUR", "1 EUR"]
    warmer_clock.advance(59.9)
    assert (priced.get(1), recorder.count) == ("1 EUR", 1)
    warmer_clock.advance(0.1)
    assert (priced.get(1), recorder.count) == (None, 1)
    assert (priced(1), recorder.count) == ("1 EUR", 2)


def test_a_stale_value_is_served_until_drain_renews_it(memory_warmer, warmer_clock, warmer_recorder):
    product = memory_warmer.warmed("product:{product_id}", ttl=60, stale_ttl=60)(warmer_recorder.returns("old"))
    product(product_id=42)
    warmer_clock.advance(61)
    warmer_recorder.returns("new")
    assert [product(product_id=42) for _ in range(3)] == ["old"] * 3
    assert warmer_recorder.count == 1
    [outcome] = memory_warmer.drain()
    assert (outcome.ref, outcome.success, outcome.error) == (product.task.target(product_id=42).ref, True, None)
    assert (product(product_id=42), warmer_recorder.count) == ("new", 2)


def test_an_old_value_outlives_a_renewal_that_fails(memory_warmer, warmer_clock, warmer_recorder):
    product = memory_warmer.warmed("product", ttl=60, stale_ttl=600)(warmer_recorder.returns("old"))
    product()
    warmer_clock.advance(61)
    warmer_recorder.raises(DatabaseAwayError("the database is away"))
    assert product() == "old"
    failed = memory_warmer.drain()
    assert [(outcome.success, outcome.error) for outcome in failed] == [
        (False, "DatabaseAwayError: the database is away")
    ]
    assert product() == "old"  # its renewal rests after the failure
    assert memory_warmer.drain() == []
    warmer_clock.advance(5)
    warmer_recorder.returns("new")
    assert product() == "old"
    assert [outcome.success for outcome in memory_warmer.drain()] == [True]
    assert product() == "new"


def test_a_failing_computation_reaches_its_reader_and_is_not_cached(memory_warmer, warmer_recorder):
    product = memory_warmer.warmed("product", ttl=60)(warmer_recorder.raises(DatabaseAwayError("away")))
    with pytest.raises(DatabaseAwayError, match="away"):
        product()
    assert (warmer_recorder.returns("back") and product(), warmer_recorder.count) == ("back", 2)


# --- warming -----------------------------------------------------------------------------------------------------
def test_drain_warms_what_is_critical_before_anybody_reads_it(memory_warmer, warmer_recorder):
    product = memory_warmer.warmed("product", ttl=60, critical=True)(warmer_recorder.returns("warm"))
    assert product.get() is None
    assert [outcome.result for outcome in memory_warmer.drain()] == ["published"]
    assert (product(), warmer_recorder.count) == ("warm", 1)


def test_drain_keeps_what_is_critical_warm_for_ever(memory_warmer, warmer_clock, warmer_recorder):
    product = memory_warmer.warmed("product", ttl=60, critical=True)(warmer_recorder.computes(warmer_clock.now_ms))
    memory_warmer.drain()
    for _ in range(10):
        warmer_clock.advance(58)  # 60 s, less what a refresh begins ahead of time
        assert [outcome.success for outcome in memory_warmer.drain()] == [True]
        assert product() == warmer_clock.now_ms()
    assert warmer_recorder.count == 11


def test_what_is_read_often_is_kept_warm_and_what_is_not_is_left_to_lapse(memory_warmer, warmer_clock):
    recorder = Recorder.of(lambda product_id: product_id)
    product = memory_warmer.warmed("product:{product_id}", ttl=60)(recorder)
    product("seldom")
    for _ in range(60):
        product("often")
    memory_warmer.drain()
    warmer_clock.advance(58.5)
    assert [outcome.ref for outcome in memory_warmer.drain()] == [product.task.target(product_id="often").ref]
    warmer_clock.advance(30)
    assert (product.get("often"), product.get("seldom")) == ("often", None)


def test_what_matters_most_is_warmed_first(memory_warmer):
    recorder = Recorder.of(lambda name: name)
    for priority in (1, 3, 2):
        memory_warmer.register_critical(
            WarmingTask(
                task_id=f"task-{priority}",
                cache_key=f"key-{priority}",
                compute_fn=lambda priority=priority: recorder(priority),
                priority=priority,
            )
        )
    memory_warmer.drain()
    assert recorder.calls == [{"name": 3}, {"name": 2}, {"name": 1}]


def test_what_failed_is_tried_again_later(memory_warmer, warmer_clock, warmer_recorder):
    product = memory_warmer.warmed("product", ttl=60, critical=True)(warmer_recorder.raises(DatabaseAwayError("away")))
    assert [(outcome.success, outcome.error) for outcome in memory_warmer.drain()] == [
        (False, "DatabaseAwayError: away")
    ]
    assert memory_warmer.drain() == []
    warmer_clock.advance(5)
    warmer_recorder.returns("back")
    assert [outcome.success for outcome in memory_warmer.drain()] == [True]
    assert product.get() == "back"


def test_a_handle_tells_how_drain_went(memory_warmer, warmer_recorder):
    product = memory_warmer.warmed("product:{product_id}", ttl=60)(warmer_recorder.returns("warm"))
    handle = product.warm(product_id=42)
    [outcome] = memory_warmer.drain()
    assert handle.wait(timeout_s=5) == outcome
    assert memory_warmer.drain() == []


def test_a_handle_that_nobody_drains_for_times_out(memory_warmer, warmer_recorder):
    product = memory_warmer.warmed("product", ttl=60)(warmer_recorder)
    with pytest.raises(WaitTimeoutError):
        product.warm().wait(timeout_s=0.01)


def test_critical_data_is_warmed_by_the_caller(memory_warmer, warmer_recorder):
    memory_warmer.register_critical(WarmingTask(task_id="a", cache_key="a", compute_fn=warmer_recorder.returns(1)))
    assert memory_warmer.warm_critical_data().succeeded == 1
    assert memory_warmer.get("a") == 1


def test_a_target_is_refreshed_once_in_a_drain_even_if_its_computation_outlives_its_ttl(memory_warmer, warmer_clock):
    recorder = Recorder.of(lambda: warmer_clock.advance(59))
    memory_warmer.warmed("slow", ttl=60, critical=True, jitter=0)(recorder)
    assert len(memory_warmer.drain()) == 1
    assert len(memory_warmer.drain()) == 1
    assert recorder.count == 2


@pytest.mark.parametrize("how", ["reader", "drain"])
def test_a_computation_keeps_its_lease_however_far_the_clock_moves(memory_warmer, warmer_clock, how):
    def slow() -> str:
        warmer_clock.advance(86_400)
        return "value"

    product = memory_warmer.warmed("product", ttl=200_000, timeout_s=900)(slow)
    if how == "reader":
        product()
    else:
        product.warm()
        assert [outcome.success for outcome in memory_warmer.drain()] == [True]
    assert product.get() == "value"


def test_nothing_is_warmed_while_warming_is_switched_off(memory_warmer, warmer_recorder):
    product = memory_warmer.warmed("product", ttl=60, critical=True)(warmer_recorder.returns("warm"))
    memory_warmer.stop()
    assert (memory_warmer.drain(), warmer_recorder.count) == ([], 0)
    product.warm()
    assert [outcome.success for outcome in memory_warmer.drain()] == [True]
    memory_warmer.start()
    assert warmer_recorder.count == 1


def test_drain_reports_the_counted_reads(memory_warmer, warmer_recorder):
    product = memory_warmer.warmed("product", ttl=60)(warmer_recorder.returns("value"))
    assert [product() for _ in range(4)] == ["value"] * 4
    assert memory_warmer.drain() == []
    [detail] = memory_warmer.stats().task_details
    assert (detail.hits, detail.misses) == (3, 1)


def test_a_server_that_is_away_is_told(memory_warmer):
    memory_server.server_at(memory_warmer.settings.redis_url, memory_warmer.clock).connected = False
    with pytest.raises(StoreUnavailableError, match="background duties failed"):
        memory_warmer.drain()


def test_no_thread_is_started(warmer_recorder):
    before = set(threading.enumerate())
    memory = MemoryWarmer()
    product = memory.warmed("product", ttl=60, stale_ttl=60, critical=True)(warmer_recorder.returns("value"))
    memory.drain()
    product()
    memory.clock.advance(61)
    product()
    memory.drain()
    memory.stats()
    assert set(threading.enumerate()) <= before
    memory.close()


def test_two_processes_of_a_fleet_share_values_but_not_functions(memory_warmer, warmer_recorder):
    other = MemoryWarmer(memory_warmer.clock, redis_url=memory_warmer.settings.redis_url)
    product = memory_warmer.warmed("product", ttl=60, critical=True)(warmer_recorder.returns("value"))
    memory_warmer.register(product.task)
    assert other.drain() == []
    assert [outcome.success for outcome in memory_warmer.drain()] == [True]
    assert (other.get("product"), product.get()) == ("value", "value")
    other.close()


# --- beside an event loop ----------------------------------------------------------------------------------------
def test_async_functions_are_read_renewed_and_warmed(memory_warmer, warmer_clock):
    loops = []

    async def load(product_id: int) -> str:
        loops.append(asyncio.get_running_loop())
        return f"{product_id} at {warmer_clock.now_ms()}"

    recorder = Recorder.of(load)
    product = memory_warmer.warmed("product:{product_id}", ttl=60, stale_ttl=60)(recorder)

    async def scenario() -> None:
        first = await product(1)
        warmer_clock.advance(61)
        assert await product(1) == first
        assert [outcome.success for outcome in await memory_warmer.adrain()] == [True]
        assert await product(1) == f"1 at {warmer_clock.now_ms()}"
        assert loops == [asyncio.get_running_loop()] * 2  # a renewal runs where its readers' computations run
        handle = await product.warm(2)
        assert [outcome.ref for outcome in await memory_warmer.adrain()] == [handle.ref]
        assert (await product.get(2), recorder.count) == (f"2 at {warmer_clock.now_ms()}", 3)

    asyncio.run(scenario())


def test_async_functions_are_warmed_by_a_plain_test_too(memory_warmer, warmer_async_recorder):
    memory_warmer.warmed("product", ttl=60, critical=True)(warmer_async_recorder.returns("warm"))
    assert [outcome.success for outcome in memory_warmer.drain()] == [True]
    assert memory_warmer.get("product") == "warm"


def test_a_drain_that_would_block_a_running_loop_is_refused(memory_warmer):
    async def scenario() -> None:
        memory_warmer.drain()

    with pytest.raises(WarmerError, match=r"await memory_warmer\.adrain"):
        asyncio.run(scenario())


def test_a_sync_function_is_renewed_beside_a_running_loop(memory_warmer, warmer_clock, warmer_recorder):
    product = memory_warmer.warmed("product", ttl=60, stale_ttl=60)(warmer_recorder.returns("old"))
    product()
    warmer_clock.advance(61)
    warmer_recorder.returns("new")

    async def scenario() -> None:
        assert product() == "old"
        assert [outcome.success for outcome in await memory_warmer.adrain()] == [True]
        assert product() == "new"

    asyncio.run(scenario())


def test_an_old_value_outlives_an_async_renewal_that_fails(memory_warmer, warmer_clock, warmer_async_recorder):
    product = memory_warmer.warmed("product", ttl=60, stale_ttl=60)(warmer_async_recorder.returns("old"))

    async def scenario() -> None:
        await product()
        warmer_clock.advance(61)
        warmer_async_recorder.raises(DatabaseAwayError("away"))
        assert await product() == "old"
        assert [outcome.error for outcome in await memory_warmer.adrain()] == ["DatabaseAwayError: away"]
        assert await product() == "old"
        assert await memory_warmer.adrain() == []

    asyncio.run(scenario())


def test_a_batch_that_is_not_full_is_drained_too(memory_warmer):
    calls = []

    def load_all(numbers):
        calls.append(numbers)
        return {n: n * n for n in numbers}

    square = memory_warmer.warmed("square:{n}", ttl=60, batch=load_all, batch_size=3)(lambda n: n * n)
    memory_warmer.register(square.task)
    for n in range(4):
        square.warm(n)
    assert len(memory_warmer.drain()) == 4
    assert sorted(memory_warmer.get_many(f"square:{n}" for n in range(4)).values()) == [0, 1, 4, 9]
