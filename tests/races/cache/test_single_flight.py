"""One computation per cold key, whoever asks: threads, tasks, loops and processes; and what becomes of the others."""

import asyncio
import contextlib
import signal
import threading
import time
from itertools import count

import pytest

from tests.support.flow import carry_out, take_one
from tests.support.interleaving import Beside, Gate, ask, both_kinds, declared, of_kind
from tests.support.leases import around_scripts, hold_lease, lease_of, misses, waiting_for_leader
from warmer import (
    CodecError,
    ComputationFailedError,
    ComputeTimeoutError,
    WaitTimeoutError,
    WarmingTask,
)
from warmer.errors import ValueTooLargeError


class NotFoundError(Exception):
    pass


def run_to(barrier: threading.Barrier, action):
    barrier.wait(20)
    return action()


# --- who asks -----------------------------------------------------------------------------------------------------
def test_threads_and_tasks_of_many_loops_compute_once(quiet, eventually):
    warmer, gate = quiet(), Gate({"a": [1]})

    async def many_readers():
        return await asyncio.gather(*(warmer.aget_or_compute("k", gate.call, ttl=60) for _ in range(20)))

    loops = [Beside.in_loop(many_readers) for _ in range(3)]
    threads = [Beside(lambda: warmer.get_or_compute("k", gate, ttl=60)) for _ in range(20)]
    assert gate.entered.wait(10)
    eventually(lambda: misses(warmer) == 80)
    gate.may_go_on.set()
    assert [value for loop in loops for value in loop.result()] == [{"a": [1]}] * 60
    assert [reader.result() for reader in threads] == [{"a": [1]}] * 20
    assert gate.calls == 1
    assert lease_of(warmer, "k") is None


@pytest.mark.parametrize("leads_in_loop", [False, True])
def test_sync_and_async_followers_follow_either_kind_of_leader(quiet, eventually, leads_in_loop):
    warmer, gate = quiet(), Gate("value")
    unwanted = Gate("computed twice")
    if leads_in_loop:
        leader = Beside.in_loop(lambda: warmer.aget_or_compute("k", gate.call, ttl=60))
    else:
        leader = Beside(lambda: warmer.get_or_compute("k", gate, ttl=60))
    assert gate.entered.wait(10)
    followers = [
        Beside(lambda: warmer.get_or_compute("k", unwanted, ttl=60)),
        Beside.in_loop(lambda: warmer.aget_or_compute("k", unwanted.call, ttl=60)),
    ]
    eventually(lambda: misses(warmer) == 3)
    gate.may_go_on.set()
    assert [reader.result() for reader in (leader, *followers)] == ["value"] * 3
    assert unwanted.calls == 0


def test_tasks_of_many_processes_compute_once(quiet, eventually):
    warmers, gate = [quiet() for _ in range(5)], Gate("value")

    async def readers(warmer):
        return await asyncio.gather(*(warmer.aget_or_compute("k", gate.call, ttl=60) for _ in range(10)))

    loops = [Beside.in_loop(lambda w=w: readers(w)) for w in warmers]
    assert gate.entered.wait(10)
    eventually(lambda: sum(misses(w) for w in warmers) == 50)
    gate.may_go_on.set()
    assert [value for loop in loops for value in loop.result()] == ["value"] * 50
    assert gate.calls == 1


def test_readers_of_different_keys_do_not_wait_for_each_other(warmer):
    gate = Gate("slow")
    slow = Beside(lambda: warmer.get_or_compute("slow", gate, ttl=60))
    assert gate.entered.wait(10)
    assert warmer.get_or_compute("quick", lambda: "quick", ttl=60) == "quick"
    gate.may_go_on.set()
    assert slow.result() == "slow"


def test_what_one_reader_does_to_its_value_no_other_sees(quiet, eventually):
    warmer, gate = quiet(), Gate({"items": [1, 2]})
    readers = [Beside(lambda: warmer.get_or_compute("k", gate, ttl=60)) for _ in range(5)]
    assert gate.entered.wait(10)
    eventually(lambda: misses(warmer) == 5)
    gate.may_go_on.set()
    values = [reader.result() for reader in readers]
    for value in values:
        assert value == {"items": [1, 2]}
        value["items"].append("mine")
    assert warmer.get("k") == {"items": [1, 2]}


def test_a_none_is_a_value_for_followers_too(quiet, eventually):
    warmer, gate = quiet(), Gate(None)
    readers = [Beside(lambda: warmer.get_or_compute("k", gate, ttl=60)) for _ in range(5)]
    assert gate.entered.wait(10)
    eventually(lambda: misses(warmer) == 5)
    gate.may_go_on.set()
    assert [reader.result() for reader in readers] == [None] * 5
    assert gate.calls == 1
    assert warmer.get("k", "default") is None


# --- the leader fails ---------------------------------------------------------------------------------------------
def test_followers_in_the_same_process_get_the_very_error(quiet, eventually):
    failure = OSError("database is down")
    warmer, gate = quiet(), Gate(failure)
    threads = [Beside(lambda: warmer.get_or_compute("k", gate, ttl=60)) for _ in range(10)]
    tasks = [Beside.in_loop(lambda: warmer.aget_or_compute("k", gate, ttl=60)) for _ in range(3)]
    assert gate.entered.wait(10)
    eventually(lambda: misses(warmer) == 13)
    gate.may_go_on.set()
    assert all(reader.outcome() is failure for reader in (*threads, *tasks))
    assert gate.calls == 1
    assert lease_of(warmer, "k") is None


def test_an_error_that_many_get_does_not_gather_all_their_frames(quiet, eventually):
    failure = OSError("database is down")
    warmer, gate = quiet(), Gate(failure)
    readers = [Beside(lambda: warmer.get_or_compute("k", gate, ttl=60)) for _ in range(30)]
    assert gate.entered.wait(10)
    eventually(lambda: misses(warmer) == 30)
    gate.may_go_on.set()
    assert all(reader.outcome() is failure for reader in readers)
    depth, traceback = 0, failure.__traceback__
    while traceback is not None:
        depth, traceback = depth + 1, traceback.tb_next
    assert depth < 30, "each of them adds its own few frames to where it was raised, not to those of the others"


@pytest.mark.parametrize("cached", [{}, {LookupError: 30}], ids=["plain", "named"])
def test_followers_in_other_processes_are_told_of_the_failure(quiet, eventually, cached):
    gate, unwanted = Gate(KeyError("no such product")), Gate("stampede")
    here, there = quiet(), quiet()
    leading, following = (declared(w, f, cache_errors=cached) for w, f in ((here, gate), (there, unwanted)))
    leader = Beside(leading)
    assert gate.entered.wait(10)
    follower = Beside(following)
    eventually(lambda: misses(there) == 1)
    eventually(lambda: lease_of(there, "k"))
    waiting_for_leader(there, eventually)
    gate.may_go_on.set()
    with pytest.raises(KeyError):
        leader.result()
    if cached:
        with pytest.raises(LookupError, match="no such product"):
            follower.result()
    else:
        with pytest.raises(ComputationFailedError, match="KeyError: 'no such product'"):
            follower.result()
    assert unwanted.calls == 0


def test_who_comes_after_a_failure_computes_anew_one_at_a_time(quiet, eventually):
    warmer = quiet()
    failing = Gate(OSError("down"))
    first = Beside(lambda: warmer.get_or_compute("k", failing, ttl=60))
    assert failing.entered.wait(10)
    failing.may_go_on.set()
    assert isinstance(first.outcome(), OSError)
    succeeding = Gate("up again")
    late = [Beside(lambda w=w: w.get_or_compute("k", succeeding, ttl=60)) for w in (warmer, warmer, quiet(), quiet())]
    assert succeeding.entered.wait(10)
    succeeding.may_go_on.set()
    assert [reader.result() for reader in late] == ["up again"] * 4
    assert succeeding.calls == 1


def test_while_a_source_fails_no_two_of_its_readers_compute_at_once(quiet):
    warmers, failing = [quiet() for _ in range(3)], Gate(OSError("down"))
    failing.may_go_on.set()
    barrier = threading.Barrier(12)
    readers = [
        Beside(lambda w=w: run_to(barrier, lambda: w.get_or_compute("k", failing, ttl=60)))
        for w in warmers
        for _ in range(4)
    ]
    assert all(isinstance(reader.outcome(), OSError | ComputationFailedError) for reader in readers)
    assert failing.most_at_once == 1


def test_a_value_that_cannot_be_cached_is_an_error_for_all_and_leaves_nothing(quiet, eventually):
    here, there = quiet(), quiet()
    gate = Gate({1, 2})
    readers = [Beside(lambda: here.get_or_compute("k", gate, ttl=60)) for _ in range(3)]
    assert gate.entered.wait(10)
    other = Beside(lambda: there.get_or_compute("k", lambda: pytest.fail("stampede"), ttl=60))
    eventually(lambda: misses(here) == 3 and misses(there) == 1)
    waiting_for_leader(there, eventually)
    gate.may_go_on.set()
    assert all(isinstance(reader.outcome(), CodecError) for reader in readers)
    with pytest.raises(ComputationFailedError, match="CodecError"):
        other.result()
    assert here.get("k", "nothing") == "nothing"
    assert lease_of(here, "k") is None


def test_a_value_too_large_is_refused_by_key_and_size(make_warmer):
    warmer = make_warmer(max_value_bytes=1000)
    with pytest.raises(ValueTooLargeError, match=r"'k'.*\b1.?000\b"):
        warmer.get_or_compute("k", lambda: "x" * 2000, ttl=60)
    assert warmer.get("k", "nothing") == "nothing"
    assert lease_of(warmer, "k") is None


# --- what computations raise that is no ordinary error --------------------------------------------------------------
@pytest.mark.parametrize("raised", [StopIteration(1), StopAsyncIteration(), RuntimeError("plain"), TimeoutError("own")])
@pytest.mark.parametrize("is_away", [False, True], ids=["with-redis", "without"])
def test_odd_exceptions_reach_the_caller_as_they_are(make_warmer, own_server, raised, is_away):
    warmer = make_warmer(redis_url=own_server.url)
    if is_away:
        own_server.kill()
    gate = Gate(raised)
    gate.may_go_on.set()
    assert Beside(lambda: warmer.get_or_compute("k", gate, ttl=60)).outcome() is raised
    assert gate.calls == 1
    if not isinstance(raised, StopIteration):  # which no coroutine can raise
        assert Beside.in_loop(lambda: warmer.aget_or_compute("k", gate, ttl=60)).outcome() is raised
    if not is_away:
        assert lease_of(warmer, "k") is None


@pytest.mark.parametrize("raised", [asyncio.CancelledError(), GeneratorExit()])
@pytest.mark.parametrize("how", ["sync", "async", "sync beside a loop"])
def test_a_computation_that_ends_itself_has_failed(quiet, raised, how):
    warmer, gate = quiet(), Gate(raised)
    gate.may_go_on.set()
    reader = {
        "sync": lambda: Beside(lambda: warmer.get_or_compute("k", gate, ttl=60)),
        "async": lambda: Beside.in_loop(lambda: warmer.aget_or_compute("k", gate.call, ttl=60)),
        "sync beside a loop": lambda: Beside.in_loop(lambda: warmer.aget_or_compute("k", gate, ttl=60)),
    }[how]()
    with pytest.raises(ComputationFailedError, match=type(raised).__name__):
        reader.result()
    assert gate.calls == 1
    assert lease_of(warmer, "k") is None


def test_an_exit_ends_the_thread_that_computes_and_no_other(quiet, eventually):
    warmer, gate = quiet(), Gate(SystemExit(3))
    leader = Beside(lambda: warmer.get_or_compute("k", gate, ttl=60))
    assert gate.entered.wait(10)
    followers = [Beside(lambda: warmer.get_or_compute("k", gate, ttl=60)) for _ in range(3)]
    eventually(lambda: misses(warmer) == 4)
    gate.may_go_on.set()
    assert isinstance(leader.outcome(), SystemExit)
    for follower in followers:
        with pytest.raises(ComputationFailedError, match="SystemExit"):
            follower.result()
    assert lease_of(warmer, "k") is None


def test_ctrl_c_in_the_main_thread_lets_others_go_on(quiet, eventually):
    warmer = quiet()
    follower: list[Beside] = []

    def interrupted():
        follower.append(Beside(lambda: warmer.get_or_compute("k", lambda: "successor's", ttl=60)))
        eventually(lambda: misses(warmer) == 2)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        warmer.get_or_compute("k", interrupted, ttl=60)
    assert follower[0].result() == "successor's"
    assert warmer.get("k") == "successor's"
    assert lease_of(warmer, "k") is None


# --- the bound of waiting -------------------------------------------------------------------------------------------


@both_kinds
@pytest.mark.parametrize("is_elsewhere", [False, True], ids=["in-process", "elsewhere"])
def test_raise_gives_up_after_the_wait(quiet, is_async, is_elsewhere):
    leading, following = quiet(), quiet()
    gate, unwanted = Gate("late"), Gate("unwanted")
    slow = declared(leading, of_kind(gate, is_async), wait_s=0.1, after_wait="raise")
    leader = ask(slow, is_async)
    assert gate.entered.wait(10)
    if is_elsewhere:
        slow = declared(following, of_kind(unwanted, is_async), wait_s=0.1, after_wait="raise")
    began_s = time.monotonic()
    with pytest.raises(WaitTimeoutError, match=r"'k' has not ended within 0\.1 s"):
        ask(slow, is_async).result()
    assert 0.1 <= time.monotonic() - began_s < 5
    gate.may_go_on.set()
    assert leader.result() == "late"
    assert (gate.calls, unwanted.calls) == (1, 0)


@both_kinds
def test_stale_takes_what_there_is_and_raises_if_that_is_nothing(quiet, is_async):
    warmer, gate = quiet(), Gate("never called")
    function = declared(warmer, of_kind(gate, is_async), wait_s=0.05, after_wait="stale", stale_ttl=60)
    hold_lease(warmer, "k")
    with pytest.raises(WaitTimeoutError):
        ask(function, is_async).result()
    asked = ask(function, is_async)
    warmer.set("k", "set meanwhile")
    assert asked.result() == "set meanwhile"
    assert gate.calls == 0


@both_kinds
def test_of_those_who_have_waited_in_vain_for_another_process_one_computes(quiet, is_async, eventually):
    warmer, gate = quiet(), Gate("computed here")
    function = declared(warmer, of_kind(gate, is_async), wait_s=0.5)
    hold_lease(warmer, "k")
    readers = [ask(function, is_async) for _ in range(20)]
    assert gate.entered.wait(10)
    eventually(lambda: misses(warmer) == 20)
    gate.may_go_on.set()
    assert [reader.result() for reader in readers] == ["computed here"] * 20
    assert gate.calls == 1
    assert lease_of(warmer, "k") == b"another process", "it was not touched"


@both_kinds
def test_of_those_who_have_waited_in_vain_for_a_thread_one_computes(quiet, is_async, eventually):
    warmer, stuck = quiet(), Gate("late")
    calls = count()

    def compute():
        return stuck() if next(calls) == 0 else "computed again"

    async def acompute():
        return await stuck.call() if next(calls) == 0 else "computed again"

    function = declared(warmer, acompute if is_async else compute, wait_s=0.3)
    leader = ask(function, is_async)
    assert stuck.entered.wait(10)
    followers = [ask(function, is_async) for _ in range(20)]
    assert [follower.result() for follower in followers] == ["computed again"] * 20
    assert next(calls) == 2, "one more computation, not twenty"
    stuck.may_go_on.set()
    assert leader.result() == "late"


def test_a_late_leader_serves_those_who_have_turned_to_another(quiet, eventually):
    warmer, first, second = quiet(), Gate("from the first"), Gate("from the second")
    gates = iter([first, second])
    function = declared(warmer, lambda: next(gates)(), wait_s=0.3)
    leader = Beside(function)
    assert first.entered.wait(10)
    followers = [Beside(function) for _ in range(5)]
    assert second.entered.wait(10)
    first.may_go_on.set()
    assert leader.result() == "from the first"
    eventually(lambda: sum(follower.is_done for follower in followers) == 4)
    second.may_go_on.set()
    assert [follower.result() for follower in followers] == ["from the first"] * 5


def test_not_waiting_at_all_computes_at_once(quiet):
    warmer, gate = quiet(), Gate("slow")
    calls = iter([gate, lambda: "quick"])
    function = declared(warmer, lambda: next(calls)(), wait_s=0)
    leader = Beside(function)
    assert gate.entered.wait(10)
    assert function() == "quick"
    gate.may_go_on.set()
    assert leader.result() == "slow"


# --- computations that need each other ------------------------------------------------------------------------------
@both_kinds
def test_a_function_that_asks_for_its_own_key_computes_right_there(quiet, is_async):
    warmer = quiet()
    depth = count()

    def compute():
        return "bottom" if next(depth) == 3 else [warmer.get_or_compute("k", compute, ttl=60)]

    async def acompute():
        return "bottom" if next(depth) == 3 else [await warmer.aget_or_compute("k", acompute, ttl=60)]

    reader = (
        Beside.in_loop(lambda: warmer.aget_or_compute("k", acompute, ttl=60))
        if is_async
        else Beside(lambda: warmer.get_or_compute("k", compute, ttl=60))
    )
    assert reader.result() == [[["bottom"]]]
    assert warmer.get("k") == [[["bottom"]]]


def test_endless_recursion_is_a_recursion_error_not_a_deadlock(quiet):
    warmer = quiet()

    def a():
        return warmer.get_or_compute("b", b, ttl=60)

    def b():
        return warmer.get_or_compute("a", a, ttl=60)

    with pytest.raises(RecursionError):
        Beside(lambda: warmer.get_or_compute("a", a, ttl=60)).result()
    assert lease_of(warmer, "a") is None
    assert lease_of(warmer, "b") is None


def test_a_worker_whose_function_reads_its_own_key_does_not_wait_for_itself(make_warmer):
    warmer = make_warmer(lease_wait_s=30)
    depth = count()

    def compute():
        return "bottom" if next(depth) else [warmer.get_or_compute("k", compute, ttl=60)]

    warmer.register(WarmingTask(task_id="t", cache_key="k", compute_fn=compute))
    warmer.start()
    job = take_one(warmer)
    began_s = time.monotonic()
    carry_out(warmer, job)
    assert time.monotonic() - began_s < 10
    assert warmer.get("k") == ["bottom"]


def test_two_computations_that_need_each_other_end(quiet):
    warmer = quiet(lease_wait_s=0.3)
    both_began = threading.Barrier(2)

    def begin():
        with contextlib.suppress(threading.BrokenBarrierError):
            both_began.wait(5)

    def a():
        begin()
        return ["a", warmer.get_or_compute("b", lambda: "b alone", ttl=60)]

    def b():
        begin()
        return ["b", warmer.get_or_compute("a", lambda: "a alone", ttl=60)]

    readers = [
        Beside(lambda: warmer.get_or_compute("a", a, ttl=60)),
        Beside(lambda: warmer.get_or_compute("b", b, ttl=60)),
    ]
    found = [reader.result() for reader in readers]
    assert found[0][0] == "a"
    assert found[1][0] == "b"


def test_a_task_that_outlives_the_computation_is_no_part_of_it(quiet):
    warmer = quiet()
    go_on, found = threading.Event(), []

    def background():
        assert go_on.wait(10)
        found.append(warmer.get_or_compute("k", lambda: pytest.fail("not cached"), ttl=60))

    async def compute():
        found.append(asyncio.get_running_loop().run_in_executor(None, background))
        return "value"

    async def read():
        value = await warmer.aget_or_compute("k", compute, ttl=60)
        warmer.invalidate("k")
        assert await warmer.aget_or_compute("k", lambda: "value again", ttl=60) == "value again"
        go_on.set()
        await found.pop(0)
        return value

    assert Beside.in_loop(read).result() == "value"
    assert found == ["value again"]


def test_a_sync_read_on_the_loop_that_computes_does_not_block_it_for_ever(quiet):
    warmer, gate = quiet(lease_wait_s=30), Gate("of the task")

    async def read():
        leading = asyncio.create_task(warmer.aget_or_compute("k", gate.call, ttl=60))
        while not gate.entered.is_set():
            await asyncio.sleep(0.005)
        began_s = time.monotonic()
        blocking = warmer.get_or_compute("k", lambda: "computed in place", ttl=60)
        took_s = time.monotonic() - began_s
        gate.may_go_on.set()
        return blocking, took_s, await leading

    blocking, took_s, led = Beside.in_loop(read).result()
    assert (blocking, led) == ("computed in place", "of the task")
    assert took_s < 5


# --- time-outs ------------------------------------------------------------------------------------------------------
def test_a_sync_function_is_left_behind_at_its_time_out_and_what_it_returns_is_not_written(quiet, eventually):
    warmer, gate = quiet(), Gate("too late")
    function = declared(warmer, gate, timeout_s=0.1)
    with pytest.raises(ComputeTimeoutError, match=r"timeout_s of 0\.1 s"):
        function()
    assert lease_of(warmer, "k") is None
    gate.may_go_on.set()
    eventually(lambda: gate.at_once == 0)
    eventually(lambda: not any(thread.name == "warmer-compute" for thread in threading.enumerate()))
    assert function.get(default="nothing") == "nothing"


def test_a_coroutine_is_cancelled_at_its_time_out(quiet):
    warmer, cancelled = quiet(), threading.Event()

    async def slow():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    function = declared(warmer, slow, timeout_s=0.1)
    with pytest.raises(ComputeTimeoutError, match=r"timeout_s of 0\.1 s"):
        Beside.in_loop(function).result()
    assert cancelled.is_set()
    assert lease_of(warmer, "k") is None


def test_a_lease_outlives_its_time_out_while_a_coroutine_computes(make_warmer, eventually):
    warmer = make_warmer(lease_timeout_s=0.5, claim_timeout_s=0.5)
    other = make_warmer(lease_timeout_s=0.5)
    gate = Gate("slow but sure")
    leader = Beside.in_loop(lambda: warmer.aget_or_compute("k", gate.call, ttl=60))
    assert gate.entered.wait(10)
    token = lease_of(warmer, "k")
    follower = Beside(lambda: other.get_or_compute("k", lambda: pytest.fail("stampede"), ttl=60))
    ends_s = time.monotonic() + 1.2
    eventually(lambda: time.monotonic() > ends_s)
    assert lease_of(warmer, "k") == token
    gate.may_go_on.set()
    assert leader.result() == follower.result() == "slow but sure"


# --- newer data -----------------------------------------------------------------------------------------------------
def test_who_reads_after_an_invalidation_gets_nothing_that_was_computed_before_it(quiet, eventually):
    warmer, gate = quiet(), Gate("from the old data")
    leader = Beside(lambda: warmer.get_or_compute("k", gate, ttl=60))
    assert gate.entered.wait(10)
    warmer.invalidate("k")
    follower = Beside(lambda: warmer.get_or_compute("k", lambda: "from the new data", ttl=60))
    eventually(lambda: misses(warmer) == 2)
    gate.may_go_on.set()
    assert leader.result() == "from the old data"
    assert follower.result() == "from the new data"
    assert warmer.get("k") == "from the new data"


def test_a_value_that_is_set_meanwhile_is_what_followers_get(quiet, eventually):
    warmer, gate = quiet(), Gate("computed from older data")
    leader = Beside(lambda: warmer.get_or_compute("k", gate, ttl=60))
    assert gate.entered.wait(10)
    follower = Beside(lambda: warmer.get_or_compute("k", lambda: pytest.fail("it is set"), ttl=60))
    eventually(lambda: misses(warmer) == 2)
    warmer.set("k", "set", ttl=60)
    gate.may_go_on.set()
    assert leader.result() == "computed from older data"
    assert follower.result() == "set"
    assert warmer.get("k") == "set"


@both_kinds
def test_what_shares_a_key_and_is_not_the_same_target_shares_no_computation(quiet, is_async, eventually):
    warmer, gate = quiet(), Gate("held")

    def kind_of(n):
        if type(n) is int:
            gate()
        return type(n).__name__

    async def akind_of(n):
        if type(n) is int:
            await gate.call()
        return type(n).__name__

    function = warmer.warmed("kind:{n}", ttl=60)(akind_of if is_async else kind_of)
    first = Beside.in_loop(lambda: function(42)) if is_async else Beside(lambda: function(42))
    assert gate.entered.wait(10)
    second = Beside.in_loop(lambda: function("42")) if is_async else Beside(lambda: function("42"))
    eventually(lambda: misses(warmer) == 2)
    gate.may_go_on.set()
    assert (first.result(), second.result()) == ("int", "str")


def test_the_failure_of_another_target_with_the_same_key_is_none_of_ours(quiet, eventually):
    here, there, gate = quiet(), quiet(), Gate("unused")

    def load(n):
        if type(n) is int:
            gate()
            raise LookupError("int 42 does not exist")
        return n

    failing = here.warmed("item:{n}", ttl=60, task_id="item")(load)
    working = there.warmed("item:{n}", ttl=60, task_id="item")(load)
    first = Beside(lambda: failing(42))
    assert gate.entered.wait(10)
    second = Beside(lambda: working("42"))
    waiting_for_leader(there, eventually)
    gate.may_go_on.set()
    with pytest.raises(LookupError, match="does not exist"):
        first.result()
    assert second.result() == "42"


def test_after_a_slow_failure_nobody_tries_again_in_vain(quiet, eventually):
    warmer, gate = quiet(), Gate("unused")
    calls = []

    def fail():
        calls.append(1)
        gate()
        raise OSError("the database is down")

    function = warmer.warmed("slow", ttl=60, wait_s=0.1)(fail)
    readers = [Beside(function) for _ in range(10)]
    eventually(lambda: len(calls) >= 3)
    gate.may_go_on.set()
    for reader in readers:
        with pytest.raises(OSError, match="down"):
            reader.result()
    assert len(calls) <= 5, "one at first, and one more after each wait; none once it is known to fail"


def test_who_reads_after_an_invalidation_has_nothing_from_before_it(quiet, monkeypatch):
    warmer, published, go_on = quiet(), threading.Event(), threading.Event()

    def hold_the_reply(name, run):
        answer = run()
        if name == "publish" and not published.is_set():
            published.set()
            assert go_on.wait(10)
        return answer

    around_scripts(monkeypatch, hold_the_reply)
    first = Beside(lambda: warmer.get_or_compute("k", lambda: "before", ttl=60))
    assert published.wait(10)
    warmer.invalidate("k")
    assert warmer.get_or_compute("k", lambda: "after", ttl=60) == "after"
    go_on.set()
    assert first.result() == "before"
    assert warmer.get("k") == "after"
