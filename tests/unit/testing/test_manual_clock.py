"""The manual clock, and servers in memory that go by it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.runtimes import store_of
from warmer import SettingsError
from warmer.connect import connect
from warmer.testing import ManualClock, MemoryWarmer, memory_server

pytest_plugins = ["pytester", "warmer.testing"]


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
