"""Callers that are cancelled, loops that end, forks: in the middle of a computation. Others go on, nothing leaks."""

import asyncio
import gc
import threading
import time

import pytest

from tests.support.interleaving import Beside, Gate
from tests.support.leases import hold_lease, lease_of, make_stale, misses
from tests.support.runtimes import runtime_of, store_of


@pytest.fixture
def quiet(make_warmer):
    return lambda **values: make_warmer(**{"flush_s": 60, "tick_s": 60, **values})


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def tasks_of(warmer) -> list["asyncio.Task[None]"]:
    return [task for tasks in runtime_of(warmer).miss_handler._runner._tasks.values() for task in tasks]


def nothing_is_left(warmer, cache_key: str = "k") -> bool:
    handler = runtime_of(warmer).miss_handler
    held = handler._refresher.renewer._held
    return not (lease_of(warmer, cache_key) or handler._flights._flights or tasks_of(warmer) or held)


@pytest.mark.parametrize("is_sync", [False, True], ids=["coroutine", "sync function"])
def test_others_get_the_value_when_the_caller_who_leads_is_cancelled(quiet, eventually, is_sync):
    warmer, gate = quiet(), Gate("value")
    compute = gate if is_sync else gate.call

    async def scene():
        leader = asyncio.create_task(warmer.aget_or_compute("k", compute, ttl=60))
        await until(gate.entered.is_set)
        follower = asyncio.create_task(warmer.aget_or_compute("k", compute, ttl=60))
        await until(lambda: misses(warmer) == 2)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        gate.may_go_on.set()
        return await follower

    assert Beside.in_loop(scene).result() == "value"
    assert gate.calls == 1
    assert warmer.get("k") == "value"
    eventually(lambda: nothing_is_left(warmer))


def test_a_value_is_cached_though_everybody_who_wanted_it_was_cancelled(quiet, eventually):
    warmer, gate = quiet(), Gate("value")

    async def scene():
        readers = [asyncio.create_task(warmer.aget_or_compute("k", gate.call, ttl=60)) for _ in range(5)]
        await until(gate.entered.is_set)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        gate.may_go_on.set()
        await until(lambda: nothing_is_left(warmer))

    Beside.in_loop(scene).result()
    assert warmer.get("k") == "value"


def test_a_follower_that_is_cancelled_disturbs_nobody(quiet):
    warmer, gate = quiet(), Gate("value")

    async def scene():
        leader = asyncio.create_task(warmer.aget_or_compute("k", gate.call, ttl=60))
        await until(gate.entered.is_set)
        followers = [asyncio.create_task(warmer.aget_or_compute("k", gate.call, ttl=60)) for _ in range(3)]
        await until(lambda: misses(warmer) == 4)
        followers[0].cancel()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await warmer.aget_or_compute("k", gate.call, ttl=60)
        gate.may_go_on.set()
        return await asyncio.gather(leader, *followers[1:])

    assert Beside.in_loop(scene).result() == ["value"] * 3
    assert gate.calls == 1


@pytest.mark.parametrize("is_sync", [False, True], ids=["coroutine", "sync function"])
def test_when_the_loop_that_computes_ends_a_thread_takes_over(quiet, eventually, is_sync):
    warmer, gate = quiet(), Gate("of the loop")
    may_end = threading.Event()

    async def scene():
        reading = asyncio.create_task(warmer.aget_or_compute("k", gate if is_sync else gate.call, ttl=60))
        await until(may_end.is_set)
        assert not reading.done()

    loop = Beside.in_loop(scene)
    assert gate.entered.wait(10)
    follower = Beside(lambda: warmer.get_or_compute("k", lambda: "of the thread", ttl=60))
    elsewhere = quiet()
    waiting = Beside(lambda: elsewhere.get_or_compute("k", lambda: "of the thread", ttl=60))
    eventually(lambda: misses(warmer) == 2 and misses(elsewhere) == 1)
    may_end.set()
    loop.result()
    assert follower.result() == waiting.result() == "of the thread"
    gate.may_go_on.set()
    eventually(lambda: nothing_is_left(warmer))
    assert warmer.get("k") == "of the thread"


def test_a_loop_that_is_closed_without_a_word_blocks_nobody(quiet, eventually):
    warmer, gate = quiet(lease_timeout_s=0.5, lease_wait_s=30), Gate("of the loop")
    other = quiet(lease_timeout_s=0.5, lease_wait_s=30)
    reading = []

    def scene():
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda loop, context: None)  # which says, rightly, that its task was left pending

        async def begin():
            reading.append(loop.create_task(warmer.aget_or_compute("k", gate.call, ttl=60)))
            await until(gate.entered.is_set)

        loop.run_until_complete(begin())
        loop.close()

    Beside(scene).result()
    began_s = time.monotonic()
    assert other.get_or_compute("k", lambda: "of another process", ttl=60) == "of another process"
    warmer.invalidate("k")
    assert warmer.get_or_compute("k", lambda: "of a thread", ttl=60) == "of a thread"
    assert time.monotonic() - began_s < 10


def test_loops_that_are_closed_in_the_middle_leave_nothing_once_another_comes(quiet, eventually):
    warmer = quiet(lease_timeout_s=0.5)

    def closed_in_the_middle(number):
        loop, gate = asyncio.new_event_loop(), Gate("never")
        loop.set_exception_handler(lambda loop, context: None)

        async def begin():
            reading = loop.create_task(warmer.aget_or_compute(f"k{number}", gate.call, ttl=60))
            await until(gate.entered.is_set)
            assert not reading.done()

        loop.run_until_complete(begin())
        loop.close()

    for number in range(20):
        Beside(lambda number=number: closed_in_the_middle(number)).result()
    assert Beside.in_loop(lambda: warmer.aget_or_compute("k", lambda: "value", ttl=60)).result() == "value"
    gc.collect()
    assert len(runtime_of(warmer).miss_handler._runner._tasks) == 1
    eventually(lambda: nothing_is_left(warmer))


def test_an_abandoned_task_that_is_collected_ends_its_flight(quiet, eventually):
    warmer, gate = quiet(lease_timeout_s=0.5), Gate("of the loop")

    def scene():
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda loop, context: None)  # which says, rightly, that its task was left pending

        async def begin():
            reading = loop.create_task(warmer.aget_or_compute("k", gate.call, ttl=60))
            await until(gate.entered.is_set)
            assert not reading.done()

        loop.run_until_complete(begin())
        loop.close()

    Beside(scene).result()
    runtime_of(warmer).miss_handler._runner._tasks.clear()  # else they live as long as the Warmer
    gc.collect()
    eventually(lambda: nothing_is_left(warmer))


@pytest.mark.parametrize("method", ["take_leases", "publish_many"])
def test_a_cancellation_in_the_middle_of_a_round_trip_leaves_no_lease(quiet, monkeypatch, eventually, method):
    warmer, held, go_on = quiet(), threading.Event(), threading.Event()
    entries = store_of(warmer).readers_entries
    original = getattr(entries, method)

    def slow(*args, **kwargs):
        outcome = original(*args, **kwargs)
        held.set()
        assert go_on.wait(10)
        return outcome

    monkeypatch.setattr(entries, method, slow)

    async def scene():
        reading = asyncio.create_task(warmer.aget_or_compute("k", lambda: "value", ttl=60))
        await until(held.is_set)
        for task in tasks_of(warmer):
            task.cancel()
        reading.cancel()
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        await asyncio.gather(reading, *tasks_of(warmer), return_exceptions=True)

    Beside.in_loop(scene).result()
    eventually(lambda: nothing_is_left(warmer))
    assert warmer.get("k", "nothing") == ("value" if method == "publish_many" else "nothing")


def test_a_reader_cancelled_while_it_waits_for_another_process_leaves_nothing(quiet, eventually):
    warmer = quiet()
    hold_lease(warmer, "k")

    async def scene():
        reading = asyncio.create_task(warmer.aget_or_compute("k", lambda: "value", ttl=60))
        await until(lambda: tasks_of(warmer))
        for task in (reading, *tasks_of(warmer)):
            task.cancel()
        await asyncio.gather(reading, *tasks_of(warmer), return_exceptions=True)

    Beside.in_loop(scene).result()
    eventually(lambda: not runtime_of(warmer).miss_handler._flights._flights)
    assert lease_of(warmer, "k") == b"another process"


def test_a_refresh_that_is_cancelled_gives_its_lease_back(quiet, eventually):
    warmer, gate = quiet(), Gate("value")

    async def compute():
        return await gate.call()

    function = warmer.warmed("k", task_id="t")(compute)

    async def scene():
        refreshing = asyncio.create_task(function.refresh())
        await until(gate.entered.is_set)
        refreshing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await refreshing

    Beside.in_loop(scene).result()
    eventually(lambda: nothing_is_left(warmer))


def test_a_refresh_behind_readers_that_ends_with_its_loop_is_done_by_the_next(quiet, eventually):
    warmer, gate, values = quiet(), Gate("new"), iter(["old"])

    async def compute():
        return next(values, None) or await gate.call()

    function = warmer.warmed("k", task_id="t", stale_ttl=600)(compute)

    async def begin():
        assert await function() == "old"
        make_stale(warmer, "k")
        assert await function() == "old"
        await until(gate.entered.is_set)

    Beside.in_loop(begin).result()
    eventually(lambda: nothing_is_left(warmer))
    gate.may_go_on.set()

    async def again():
        while await function() == "old":
            await asyncio.sleep(0.005)
        return await function()

    assert Beside.in_loop(again).result() == "new"
    assert not runtime_of(warmer).miss_handler.revalidation._background_refresh._running, "and its place is free again"


def test_closing_in_the_middle_of_a_computation_still_gives_its_caller_the_value(quiet):
    warmer, gate = quiet(), Gate("value")

    async def scene():
        reading = asyncio.create_task(warmer.aget_or_compute("k", gate.call, ttl=60))
        await until(gate.entered.is_set)
        runtime_of(warmer).miss_handler.close()
        gate.may_go_on.set()
        return await reading

    assert Beside.in_loop(scene).result() == "value"


def test_without_redis_a_cancelled_reader_gives_up_its_place_in_the_queue(quiet, own_server, eventually):
    warmer, gate = quiet(redis_url=own_server.url, computations_without_redis=1), Gate("value")
    own_server.kill()

    async def scene():
        holder = asyncio.create_task(warmer.aget_or_compute("a", gate.call, ttl=60))
        await until(gate.entered.is_set)
        flying = set(tasks_of(warmer))
        queued = asyncio.create_task(warmer.aget_or_compute("b", gate.call, ttl=60))
        await until(lambda: len(runtime_of(warmer).miss_handler._semaphore._waiting) == 1)
        for task in (queued, *(set(tasks_of(warmer)) - flying)):
            task.cancel()
        await until(lambda: not runtime_of(warmer).miss_handler._semaphore._waiting)
        gate.may_go_on.set()
        await holder
        return await warmer.aget_or_compute("c", gate.call, ttl=60)

    assert Beside.in_loop(scene).result() == "value"


def test_a_quiet_exit_in_the_middle_of_everything(fleet):
    """Nothing complains: no task destroyed while pending, no exception never retrieved, no coroutine never awaited."""
    printed = fleet.python(
        """
        import asyncio, gc, logging, os, sys, threading, time
        logging.basicConfig(level=logging.WARNING)
        from warmer import Settings, Warmer

        app = Warmer(Settings.load(embedded=True))
        began = threading.Event()

        async def slow():
            began.set()
            await asyncio.sleep(60)

        def slow_sync():
            began.set()
            time.sleep(60)

        def fail():
            raise OSError("down")

        async def main():
            readers = [asyncio.create_task(app.aget_or_compute("a", slow, ttl=60)) for _ in range(5)]
            readers += [asyncio.create_task(app.aget_or_compute("b", slow_sync, ttl=60)) for _ in range(5)]
            failing = [asyncio.create_task(app.aget_or_compute("c", fail, ttl=60)) for _ in range(5)]
            outcomes = await asyncio.gather(*failing, return_exceptions=True)
            assert all(isinstance(outcome, OSError) for outcome in outcomes), outcomes
            while not began.is_set():
                await asyncio.sleep(0.01)
            readers[0].cancel()
            await asyncio.sleep(0.1)

        asyncio.run(main(), debug=True)
        gc.collect()
        from warmer.client.warmer import runtime_of
        runtime = runtime_of(app)
        client, keys = runtime.store.control, runtime.store.keys
        print([client.get(keys.lease(key)) for key in "abc"], len(runtime.miss_handler._flights._flights))
        app.close()
        sys.stderr.flush()
        """,
        PYTHONASYNCIODEBUG="1",
        PYTHONWARNINGS="error",
    )
    assert printed.strip() == "[None, None, None] 0"
    # what was written to the error stream is in the assertion of `python` only when it fails: look for it
    noisy = fleet.python(
        """
        import subprocess, sys
        script = '''
        import asyncio, gc
        from warmer import Settings, Warmer
        app = Warmer(Settings.load(embedded=True))
        async def slow():
            await asyncio.sleep(60)
        async def main():
            readers = [asyncio.create_task(app.aget_or_compute(key, slow, ttl=60)) for key in "abab"]
            await asyncio.sleep(0.3)
            readers[0].cancel()
        asyncio.run(main(), debug=True)
        gc.collect()
        app.close()
        '''
        import textwrap
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(script)], capture_output=True, text=True
        )
        lines = [line for line in done.stderr.splitlines() if "took" not in line]
        print(done.returncode, lines)
        """
    )
    assert noisy.strip() == "0 []"


def test_a_child_forked_while_readers_wait_computes_for_itself(fleet):
    printed = fleet.python(
        """
        import os, threading, time
        from warmer import Settings, Warmer

        app = Warmer(Settings.load(embedded=True, lease_wait_s=0.5))
        began, go_on = threading.Event(), threading.Event()

        def slow():
            began.set()
            assert go_on.wait(20)
            return "of the parent"

        found = []
        readers = [
            threading.Thread(target=lambda: found.append(app.get_or_compute("k", slow, ttl=60))) for _ in range(5)
        ]
        readers[0].start()
        assert began.wait(10)
        for reader in readers[1:]:
            reader.start()
        pids = []
        for _ in range(5):
            pid = os.fork()
            if pid == 0:
                started = time.monotonic()
                own = app.get_or_compute("k", lambda: "of the child", ttl=60)
                other = app.get_or_compute(f"k{os.getpid()}", lambda: "other", ttl=60)
                os._exit(0 if (own, other) == ("of the child", "other") and time.monotonic() - started < 10 else 1)
            pids.append(pid)
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        go_on.set()
        for reader in readers:
            reader.join(20)
        print(codes, set(found))
        """
    )
    assert printed.strip() == "[0, 0, 0, 0, 0] {'of the parent'}"


def test_waiting_blocks_no_event_loop(quiet):
    warmer = quiet()
    hold_lease(warmer, "k")

    async def scene():
        reading = asyncio.create_task(warmer.aget_or_compute("k", lambda: "value", ttl=60))
        longest_s, before_s = 0.0, time.monotonic()
        for _ in range(40):
            await asyncio.sleep(0.005)
            now_s = time.monotonic()
            longest_s, before_s = max(longest_s, now_s - before_s), now_s
        assert not reading.done()
        reading.cancel()
        return longest_s

    assert Beside.in_loop(scene).result() < 0.5
