"""`warmer.testing`, used as its users use it."""

import asyncio
import inspect
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

import warmer
import warmer.testing
from tests.support.runtimes import runtime_of, store_of
from warmer import SettingsError, StoreUnavailableError, WaitTimeoutError, Warmer, WarmerError, WarmingTask
from warmer.connect import connect
from warmer.testing import ManualClock, MemoryWarmer, Recorder, memory_server

pytest_plugins = ["pytester", "warmer.testing"]


class DatabaseAwayError(Exception):
    """What a user's own code raises."""


# --- documentation -----------------------------------------------------------------------------------------------
def test_every_public_class_and_fixture_is_documented():
    for name in warmer.testing.__all__:
        public = getattr(warmer.testing, name)
        assert inspect.getdoc(public), name
        assert not inspect.isclass(public) or ">>>" in (public.__doc__ or ""), name


# --- the clock ---------------------------------------------------------------------------------------------------
def test_the_time_stands_still_until_it_is_moved():
    clock = ManualClock()
    before_ms = clock.now_ms()
    time.sleep(0.002)
    assert clock.now_ms() == before_ms
    clock.advance(1.5)
    assert clock.now_ms() == before_ms + 1500


@pytest.mark.parametrize("seconds", [-1, -0.001, float("nan"), float("inf"), True, "1", None])
def test_a_step_that_is_none_is_refused(seconds):
    clock = ManualClock()
    with pytest.raises(SettingsError, match="a number of seconds of 0 or more"):
        clock.advance(seconds)
    assert clock.now_ms() == ManualClock().now_ms()


@given(st.lists(st.integers(0, 10**9), max_size=20))
def test_many_steps_lead_as_far_as_one(steps_ms):
    clock = ManualClock(start_s=0)
    for step_ms in steps_ms:
        clock.advance(step_ms / 1000)
    assert clock.now_ms() == sum(steps_ms)


def test_durations_are_those_that_passed_and_those_advanced_by():
    clock = ManualClock()
    began_s, really_began_s = clock.monotonic_s(), time.monotonic()
    clock.advance(3600)
    time.sleep(0.002)
    passed_s, really_passed_s = clock.monotonic_s() - began_s, time.monotonic() - really_began_s
    assert 3600 < passed_s <= 3600 + really_passed_s + 0.001


# --- the server --------------------------------------------------------------------------------------------------
def test_the_server_tells_the_clocks_time_in_and_out_of_scripts(memory_warmer, warmer_clock):
    warmer_clock.advance(12.345)
    seconds, micros = store_of(memory_warmer).control.time()
    in_script = store_of(memory_warmer).control.eval("return redis.call('TIME')", 0)
    assert seconds * 1_000_000 + micros == warmer_clock.now_us()
    assert [int(part) for part in in_script] == [seconds, micros]


def test_each_server_goes_by_its_own_clock_and_others_by_the_hosts():
    early, late = MemoryWarmer(ManualClock(start_s=1_000_000_000)), MemoryWarmer(ManualClock(start_s=1_900_000_000))
    plain = connect("memory://by-the-host", timeout_s=1)
    assert store_of(early).control.time()[0] == 1_000_000_000
    assert store_of(late).control.time()[0] == 1_900_000_000
    assert abs(plain.time()[0] - time.time()) < 60
    early.close()
    late.close()


@pytest.mark.parametrize("databases", [0, 3])
def test_a_key_is_gone_once_its_time_has_passed_exactly(databases):
    memory = MemoryWarmer(redis_url=f"memory://exactly-{databases}/{databases}")
    store_of(memory).control.set("key", "value", px=60_000)
    memory.clock.advance(59.999)
    assert store_of(memory).control.get("key") == b"value"
    memory.clock.advance(0.001)
    assert store_of(memory).control.get("key") is None
    memory.close()


def test_a_server_goes_by_one_clock_only(memory_warmer):
    with pytest.raises(SettingsError, match="follows another clock"):
        MemoryWarmer(redis_url=memory_warmer.settings.redis_url)


def test_a_fakeredis_that_cannot_go_by_a_clock_is_refused(monkeypatch):
    monkeypatch.setattr(memory_server, "_follow", lambda server, clock: setattr(server, "clock", clock))
    with pytest.raises(SettingsError, match=r"cannot follow a manual clock.*warmer\[testing\]"):
        MemoryWarmer()


@pytest.mark.parametrize("url", ["redis://localhost:6379/0", "redis+sentinel://h1:1,h2:2/main"])
def test_an_address_of_a_real_server_is_refused(url):
    with pytest.raises(SettingsError, match="needs an address memory://name"):
        MemoryWarmer(redis_url=url)


def test_a_cache_that_the_environment_names_is_not_touched(monkeypatch):
    monkeypatch.setenv("WARMER_CACHE_URL", "redis://production:6379/0")
    memory = MemoryWarmer()
    memory.set("key", "value")
    assert memory.settings.cache_url is None
    assert memory.get("key") == "value"
    memory.close()


def test_a_cache_of_its_own_goes_by_the_same_clock():
    memory = MemoryWarmer(cache_url="memory://cache")
    memory.set("key", "value", ttl=60)
    memory.clock.advance(61)
    assert memory.get("key") is None
    memory.close()


def test_a_cache_on_a_real_server_is_refused():
    with pytest.raises(SettingsError, match="needs an address memory://name"):
        MemoryWarmer(cache_url="redis://localhost:6379/0")


def test_data_is_gone_with_its_warmer():
    memory = MemoryWarmer(redis_url="memory://gone")
    memory.set("key", "value")
    memory.close()
    again = MemoryWarmer(redis_url="memory://gone")
    assert again.get("key") is None
    again.close()


# --- the recorder ------------------------------------------------------------------------------------------------
def price(product_id: int, currency: str = "EUR") -> str:
    return f"{product_id} {currency}"


def test_a_recorder_has_the_signature_of_its_function():
    recorder = Recorder.of(price)
    assert inspect.signature(recorder) == inspect.signature(price)
    assert (recorder.__name__, recorder.__module__) == ("price", __name__)


def test_calls_are_recorded_with_their_arguments_by_name():
    recorder = Recorder.of(price)
    assert [recorder(1), recorder(2, "USD"), recorder(product_id=3)] == ["1 EUR", "2 USD", "3 EUR"]
    assert recorder.calls == [
        {"product_id": 1, "currency": "EUR"},
        {"product_id": 2, "currency": "USD"},
        {"product_id": 3, "currency": "EUR"},
    ]
    assert recorder.count == 3
    assert repr(recorder) == "<Recorder of price: 3 calls>"


def test_a_call_that_does_not_fit_the_signature_fails_as_the_functions_own_would():
    recorder = Recorder.of(price)
    with pytest.raises(TypeError, match="product_id"):
        recorder()
    assert recorder.calls == []


def test_a_recorder_does_what_it_was_told_last():
    recorder = Recorder.of(price)
    assert recorder.returns("free")(1) == "free"
    with pytest.raises(DatabaseAwayError):
        recorder.raises(DatabaseAwayError)(1)
    assert recorder.computes(lambda product_id, currency: [product_id, currency])(1) == [1, "EUR"]
    assert recorder.count == 3


def test_gathered_arguments_are_recorded_too():
    recorder = Recorder.of(lambda *ids, **options: (ids, options))
    assert recorder(1, 2, order="asc") == ((1, 2), {"order": "asc"})
    assert recorder.calls == [{"ids": (1, 2), "order": "asc"}]


def test_an_async_recorder_is_awaited(warmer_async_recorder):
    async def ten_times(n: int) -> int:
        return 10 * n

    assert asyncio.run(warmer_async_recorder.returns(42)(n=1)) == 42
    assert asyncio.run(warmer_async_recorder.computes(ten_times)(n=7)) == 70
    assert asyncio.run(Recorder.of(ten_times)(8)) == 80
    with pytest.raises(DatabaseAwayError):
        asyncio.run(warmer_async_recorder.raises(DatabaseAwayError())(n=1))
    assert warmer_async_recorder.calls == [{"n": 1}, {"n": 7}, {"n": 1}]


def test_a_recorder_of_a_warmed_function_computes_rather_than_reads(memory_warmer):
    warmed = memory_warmer.warmed("price:{product_id}:{currency}", ttl=60)(price)
    recorder = Recorder.of(warmed)
    assert (recorder(1), recorder(1), warmed.get(1)) == ("1 EUR", "1 EUR", None)


def test_values_are_rebuilt_by_the_annotation_of_the_recorded_function(memory_warmer):
    def born(user_id: int) -> date:
        return date(2000, 1, user_id)

    recorder = Recorder.of(born)
    birthday = memory_warmer.warmed("born:{user_id}", ttl=60)(recorder)
    assert [birthday("7"), birthday(7)] == [date(2000, 1, 7)] * 2
    assert recorder.calls == [{"user_id": 7}]


def test_a_recorder_fits_any_key(memory_warmer, warmer_recorder, warmer_async_recorder):
    plain = memory_warmer.warmed("plain:{a}:{b}", ttl=60)(warmer_recorder.returns("plain"))
    later = memory_warmer.warmed("later:{a}", ttl=60)(warmer_async_recorder.returns("later"))
    assert (plain(a=1, b=2), asyncio.run(later(a=3))) == ("plain", "later")
    assert (warmer_recorder.calls, warmer_async_recorder.calls) == ([{"a": 1, "b": 2}], [{"a": 3}])


def test_a_thousand_readers_of_a_cold_key_compute_once(memory_warmer):
    recorder = Recorder.of(lambda product_id: product_id)
    product = memory_warmer.warmed("product:{product_id}", ttl=60)(recorder)
    with ThreadPoolExecutor(16) as threads:
        with recorder.held() as gate:
            readers = [threads.submit(product, 42) for _ in range(1000)]
            gate.wait_for(1)
        assert {reader.result() for reader in readers} == {42}
    assert recorder.count == gate.arrived == 1


def test_what_is_invalidated_while_it_is_computed_is_not_cached(memory_warmer, warmer_recorder):
    product = memory_warmer.warmed("product:{product_id}", ttl=60)(warmer_recorder.returns("old"))
    with ThreadPoolExecutor(1) as threads:
        with warmer_recorder.held() as gate:
            reader = threads.submit(product, product_id=42)
            gate.wait_for(1)
            product.invalidate(product_id=42)
        assert reader.result() == "old"
    assert product.get(product_id=42) is None


def test_coroutines_are_held_beside_their_loop(memory_warmer, warmer_async_recorder):
    product = memory_warmer.warmed("product:{product_id}", ttl=60)(warmer_async_recorder.returns("value"))

    async def read_twice() -> tuple[list[str], int]:
        with warmer_async_recorder.held() as gate:
            readers = [asyncio.create_task(product(product_id=42)) for _ in range(2)]
            await gate.await_for(1)
            assert not any(reader.done() for reader in readers)
        return await asyncio.gather(*readers), gate.arrived

    assert asyncio.run(read_twice()) == (["value", "value"], 1)


def test_a_gate_may_be_opened_before_the_block_ends(warmer_recorder):
    with warmer_recorder.held() as gate:
        gate.open()
        assert warmer_recorder.returns(42)() == 42


def test_a_call_that_nobody_lets_pass_fails_rather_than_hangs(warmer_recorder, warmer_async_recorder):
    with warmer_recorder.held(timeout_s=0.01), pytest.raises(WaitTimeoutError, match="another thread or task"):
        warmer_recorder()
    with warmer_async_recorder.held(timeout_s=0.01), pytest.raises(WaitTimeoutError, match="another thread or task"):
        asyncio.run(warmer_async_recorder())


def test_waiting_for_a_computation_that_does_not_begin_says_so(warmer_recorder):
    with warmer_recorder.held() as gate, pytest.raises(WaitTimeoutError, match=r"expected 1 .* got 0"):
        gate.wait_for(1, timeout_s=0.01)


def test_a_gate_opens_when_its_block_fails(warmer_recorder):
    held = []
    with ThreadPoolExecutor(1) as threads:

        def fail_while_one_is_held() -> None:
            with warmer_recorder.returns(42).held() as gate:
                held.append(threads.submit(warmer_recorder))
                gate.wait_for(1)
                raise DatabaseAwayError

        with pytest.raises(DatabaseAwayError):
            fail_while_one_is_held()
        assert held[0].result() == 42


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


def test_a_target_that_does_not_fit_its_task_fails_and_leaves_the_others_alone(memory_warmer, warmer_recorder):
    product = memory_warmer.warmed("product:{product_id}", ttl=60, task_id="product")(warmer_recorder.returns("warm"))
    runtime_of(memory_warmer).background.tick()
    store_of(memory_warmer).requests.submit(['product{"no_such_field":1}'], force=True)
    product.warm(product_id=42)
    failed, warmed = sorted(memory_warmer.drain(), key=lambda outcome: outcome.success)
    assert (failed.ref, failed.success) == ('product{"no_such_field":1}', False)
    assert "no_such_field" in failed.error
    assert (warmed.ref, warmed.success) == ('product{"product_id":42}', True)


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


def test_reads_are_counted_once_the_pulse_has_beaten(memory_warmer, warmer_recorder):
    product = memory_warmer.warmed("product", ttl=60)(warmer_recorder.returns("value"))
    assert [product() for _ in range(4)] == ["value"] * 4
    runtime_of(memory_warmer).background.tick()
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
    runtime_of(memory_warmer).background.tick()
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


# --- the default -------------------------------------------------------------------------------------------------
def test_the_default_is_what_it_was_before(memory_warmer, monkeypatch):
    before = Warmer(memory_warmer.settings)
    monkeypatch.setattr("warmer.client.default._default", before)
    with memory_warmer.as_default() as inside:
        assert warmer.default_warmer() is inside is memory_warmer
    assert warmer.default_warmer() is before


def test_one_that_the_application_configures_meanwhile_is_closed_again(memory_warmer, monkeypatch):
    monkeypatch.setattr("warmer.client.default._default", None)
    closed = []
    with memory_warmer.as_default():
        configured = warmer.configure(redis_url="memory://configured")
        configured.close = lambda: closed.append(configured)
    assert closed == [configured]
    assert warmer.client.default._default is None


def test_functions_that_a_test_decorates_end_with_it(monkeypatch):
    monkeypatch.setattr("warmer.client.default._default", None)
    monkeypatch.setattr("warmer.client.default._declared", {})

    def in_a_test(value: str) -> str:
        with MemoryWarmer().as_default() as memory:
            warmer.warmed("product", ttl=60, critical=True, task_id=f"of-{value}")(Recorder().returns(value))
            assert [outcome.success for outcome in memory.drain()] == [True]
            found = memory.get("product")
            memory.close()
            return found

    assert [in_a_test("first"), in_a_test("second")] == ["first", "second"]


# --- as users meet it --------------------------------------------------------------------------------------------
SHOP = """
    from warmer import warmed

    def fetch(product_id):
        raise AssertionError("a test came to the database")

    @warmed("product:{product_id}", ttl=60, stale_ttl=30)
    def product(product_id: int) -> dict[str, int]:
        return fetch(product_id)

    @warmed("catalog", ttl=60, critical=True)
    async def catalog() -> list[int]:
        return [1, 2, 3]
"""

SHOP_TESTS = """
    import asyncio
    import pytest
    import shop
    import warmer
    from warmer.testing import Recorder

    pytestmark = pytest.mark.usefixtures("default_memory_warmer")

    @pytest.fixture
    def fetch(monkeypatch):
        recorder = Recorder.of(shop.fetch).computes(lambda product_id: {"id": product_id})
        monkeypatch.setattr(shop, "fetch", recorder)
        return recorder

    def test_reads_through_the_cache(fetch):
        assert shop.product(42) == shop.product(42) == {"id": 42}
        assert fetch.calls == [{"product_id": 42}]

    def test_begins_with_an_empty_cache(fetch, default_memory_warmer):
        assert warmer.default_warmer() is default_memory_warmer
        assert shop.product.get(42) is None

    def test_serves_what_is_stale_while_it_is_renewed(fetch, warmer_clock, memory_warmer):
        shop.product(42)
        warmer_clock.advance(61)
        fetch.returns({"id": 43})
        assert shop.product(42) == {"id": 42}
        assert [outcome.ref for outcome in memory_warmer.drain()] == ['shop.product{"product_id":42}', "shop.catalog"]
        assert shop.product(42) == {"id": 43}

    def test_computes_anew_what_has_expired(fetch, warmer_clock):
        shop.product(42)
        warmer_clock.advance(91)
        shop.product(42)
        assert fetch.count == 2

    def test_passes_failures_on(fetch):
        fetch.raises(ConnectionError("the database is away"))
        with pytest.raises(ConnectionError):
            shop.product(42)

    def test_warms_the_catalog(memory_warmer):
        assert [outcome.ref for outcome in memory_warmer.drain()] == ["shop.catalog"]
        assert memory_warmer.get("catalog") == asyncio.run(shop.catalog()) == [1, 2, 3]

    def test_takes_settings(memory_warmer):
        assert memory_warmer.settings.namespace == "shop"
"""


def test_a_users_suite_runs_with_the_fixtures(pytester, monkeypatch):
    monkeypatch.setenv("WARMER_REDIS_URL", "redis://production:6379/0")
    pytester.makeconftest(
        """
        import pytest

        pytest_plugins = ["warmer.testing"]

        @pytest.fixture
        def warmer_settings():
            return {"namespace": "shop"}
        """
    )
    pytester.makepyfile(shop=SHOP, test_shop=SHOP_TESTS)
    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", "-W", "error")
    result.assert_outcomes(passed=7)


@pytest.mark.parametrize("missing", ["fakeredis", "lupa", "pytest"])
def test_a_missing_package_is_named_with_what_to_install(missing):
    script = f"import sys; sys.modules[{missing!r}] = None; import warmer.testing"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    last_line = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert last_line.startswith(f"ImportError: warmer.testing needs more packages (import of {missing} halted")
    assert last_line.endswith("pip install 'warmer[testing]'")


def test_a_batch_that_is_not_full_is_drained_too(memory_warmer):
    calls = []

    def load_all(numbers):
        calls.append(numbers)
        return {n: n * n for n in numbers}

    square = memory_warmer.warmed("square:{n}", ttl=60, batch=load_all, batch_size=3)(lambda n: n * n)
    runtime_of(memory_warmer).background.tick()
    for n in range(4):
        square.warm(n)
    assert len(memory_warmer.drain()) == 4
    assert sorted(memory_warmer.get_many(f"square:{n}" for n in range(4)).values()) == [0, 1, 4, 9]
