"""Readers while Redis is away, slow, or cut off at any step: they get their values, from one computation, in time."""

import asyncio
import os
import signal
import time

import pytest

from tests.support.interleaving import Beside, Gate, ask, both_kinds, declared, of_kind
from tests.support.leases import around_scripts, lease_of, misses
from tests.support.runtimes import runtime_of, store_of
from warmer import CodecError, WaitTimeoutError


class Cut:
    """Cuts the connection at one script, always: before it is sent, or when its reply is due."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, script: str, sent: bool) -> None:
        from redis.exceptions import ConnectionError as RedisConnectionError

        self.happened = 0

        def run_or_cut(name, run):
            if name != script:
                return run()
            self.happened += 1
            if sent:
                run()
            raise RedisConnectionError("cut")

        around_scripts(monkeypatch, run_or_cut)


@both_kinds
@pytest.mark.parametrize("sent", [False, True], ids=["not-sent", "reply-lost"])
@pytest.mark.parametrize("script", ["take_lease", "publish", "release_lease", "fail_lease"])
def test_whatever_is_cut_readers_get_their_value_from_one_computation(
    quiet, eventually, monkeypatch, script, sent, is_async
):
    warmer, gate = quiet(), Gate("value")
    cut = Cut(monkeypatch, script, sent)
    function = declared(warmer, of_kind(gate, is_async))
    readers = [ask(function, is_async) for _ in range(10)]
    assert gate.entered.wait(10)
    eventually(lambda: misses(warmer) == 10)
    gate.may_go_on.set()
    assert [reader.result() for reader in readers] == ["value"] * 10
    assert gate.calls == 1
    assert cut.happened or script in ("release_lease", "fail_lease"), "not needed where all goes well"


def test_a_lease_whose_reply_was_lost_is_given_back(quiet, monkeypatch, eventually):
    warmer, other = quiet(lease_timeout_s=60), quiet(lease_timeout_s=60)
    with monkeypatch.context() as patch:
        Cut(patch, "take_lease", sent=True)
        assert warmer.get_or_compute("k", lambda: "value", ttl=60) == "value"
    eventually(lambda: runtime_of(warmer).background.tick() and lease_of(warmer, "k") is None)
    assert other.get_or_compute("k", lambda: "other's", ttl=60) == "other's"


@pytest.mark.parametrize("sent", [False, True], ids=["not-sent", "reply-lost"])
def test_a_time_out_is_no_outage_while_redis_answers_others(quiet, monkeypatch, sent):
    from redis.exceptions import TimeoutError as RedisTimeoutError

    warmer, failed = quiet(), []

    def run_or_time_out(name, run):
        if name != "take_lease" or failed:
            return run()
        failed.append(name)
        if sent:
            run()
        assert Beside(lambda: warmer.get("another", "missed")).result() == "missed"
        raise RedisTimeoutError("too busy to listen")

    around_scripts(monkeypatch, run_or_time_out)
    assert warmer.get_or_compute("k", lambda: "value", ttl=60) == "value"
    assert failed
    assert warmer.get("k") == "value", "it was published under a lease"
    assert lease_of(warmer, "k") is None


def test_a_time_out_is_an_outage_when_redis_answers_nobody(quiet, monkeypatch):
    from redis.exceptions import TimeoutError as RedisTimeoutError

    warmer, asked = quiet(), []

    def time_out(name, run):
        asked.append(name)
        raise RedisTimeoutError("nobody is there")

    around_scripts(monkeypatch, time_out)
    assert warmer.get_or_compute("k", lambda: "value", ttl=60) == "value"
    assert asked == ["take_lease"]


def test_while_redis_is_away_nobody_waits_for_a_lease(quiet, monkeypatch):
    warmer, cut = quiet(), Cut(monkeypatch, "take_lease", sent=False)
    monkeypatch.setattr(store_of(warmer).reader, "is_unavailable", lambda key: True)
    for number in range(20):
        assert warmer.get_or_compute(f"k{number}", lambda: "value", ttl=60) == "value"
    assert cut.happened == 0


def test_an_error_is_an_error_also_when_its_word_cannot_be_left(quiet, monkeypatch):
    warmer = quiet()
    Cut(monkeypatch, "fail_lease", sent=False)
    with pytest.raises(ZeroDivisionError):
        warmer.get_or_compute("k", lambda: 1 / 0, ttl=60)


@both_kinds
def test_without_redis_only_so_many_compute_at_once_and_all_get_their_value(quiet, own_server, eventually, is_async):
    warmer = quiet(redis_url=own_server.url, computations_without_redis=3, lease_wait_s=60)
    own_server.kill()
    gate = Gate("value")

    def read(key):
        if is_async:
            return Beside.in_loop(lambda: warmer.aget_or_compute(key, gate.call, ttl=60))
        return Beside(lambda: warmer.get_or_compute(key, gate, ttl=60))

    readers = [read(f"k{number}") for number in range(12)]
    eventually(lambda: misses(warmer) == 12 and gate.at_once == 3)
    ends_s = time.monotonic() + 0.5
    eventually(lambda: time.monotonic() > ends_s)
    assert gate.at_once == 3
    gate.may_go_on.set()
    assert [reader.result() for reader in readers] == ["value"] * 12
    assert gate.most_at_once == 3


def test_without_redis_a_key_is_still_computed_once(quiet, own_server, eventually):
    warmer = quiet(redis_url=own_server.url)
    own_server.kill()
    gate = Gate(["value"])
    readers = [Beside(lambda: warmer.get_or_compute("k", gate, ttl=60)) for _ in range(20)]
    assert gate.entered.wait(10)
    eventually(lambda: misses(warmer) == 20)
    gate.may_go_on.set()
    values = [reader.result() for reader in readers]
    assert values == [["value"]] * 20
    assert len({id(value) for value in values}) == 20, "to each its own"
    assert gate.calls == 1


def test_without_redis_computations_within_computations_need_no_slot_of_their_own(quiet, own_server):
    warmer = quiet(redis_url=own_server.url, computations_without_redis=1)
    own_server.kill()

    def outer():
        return [warmer.get_or_compute("inner", lambda: "inner", ttl=60)]

    assert Beside(lambda: warmer.get_or_compute("outer", outer, ttl=60)).result() == ["inner"]


def test_without_redis_a_reader_that_would_rather_raise_waits_only_so_long_for_a_slot(quiet, own_server):
    warmer = quiet(redis_url=own_server.url, computations_without_redis=1)
    own_server.kill()
    gate = Gate("slow")
    holder = Beside(lambda: warmer.get_or_compute("other", gate, ttl=60))
    assert gate.entered.wait(10)
    function = declared(warmer, lambda: "value", wait_s=0.1, after_wait="raise")
    with pytest.raises(WaitTimeoutError):
        function()
    gate.may_go_on.set()
    assert holder.result() == "slow"
    assert function() == "value", "the slot is free again"


def test_without_redis_a_value_that_could_not_be_cached_is_refused_as_always(quiet, own_server):
    warmer = quiet(redis_url=own_server.url)
    own_server.kill()
    with pytest.raises(CodecError):
        warmer.get_or_compute("k", lambda: {1, 2}, ttl=60)


def test_without_redis_a_computation_that_fans_out_over_threads_is_not_stuck(quiet, own_server):
    from concurrent.futures import ThreadPoolExecutor

    warmer = quiet(redis_url=own_server.url, computations_without_redis=1, lease_wait_s=0.2)
    own_server.kill()

    def part(number):
        return warmer.get_or_compute(f"part{number}", lambda: number, ttl=60)

    def whole():
        with ThreadPoolExecutor(3) as pool:
            return sum(pool.map(part, range(3)))

    assert Beside(lambda: warmer.get_or_compute("whole", whole, ttl=60)).result() == 3


def test_a_lease_that_nobody_was_told_of_in_time_is_given_back(quiet, monkeypatch, eventually):
    from redis.exceptions import TimeoutError as RedisTimeoutError

    warmer, other = quiet(lease_timeout_s=60), quiet(lease_timeout_s=60)

    def take_too_long(name, run):
        answer = run()
        if name == "take_lease":
            raise RedisTimeoutError("the reply came too late")
        return answer

    with monkeypatch.context() as patch:
        around_scripts(patch, take_too_long)
        assert warmer.get_or_compute("k", lambda: "value", ttl=60) == "value"
    assert lease_of(warmer, "k") is not None
    eventually(lambda: runtime_of(warmer).background.tick() and lease_of(warmer, "k") is None)
    assert other.get_or_compute("k", lambda: "other's", ttl=60) == "other's"


def test_while_redis_stalls_many_readers_of_one_loop_wait_no_longer_than_one(quiet, own_server):
    warmer = quiet(redis_url=own_server.url, read_timeout_s=0.25)
    warmer.set("k", 1)
    pid = int(store_of(warmer).control.info("server")["process_id"])

    async def read_all():
        stalled = store_of(warmer).readers_entries.take_leases

        def stall(*args, **kwargs):
            os.kill(pid, signal.SIGSTOP)
            return stalled(*args, **kwargs)

        store_of(warmer).readers_entries.take_leases = stall
        return await asyncio.gather(*(warmer.aget_or_compute(f"k{n}", lambda n=n: n, ttl=60) for n in range(200)))

    began_s = time.monotonic()
    try:
        assert asyncio.run(read_all()) == list(range(200))
    finally:
        os.kill(pid, signal.SIGCONT)
    assert time.monotonic() - began_s < 5.0, "not 200 time-outs one after the other"
