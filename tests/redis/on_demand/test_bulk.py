"""Bulk warming with a server: what is streamed is warmed, what Redis holds stays bounded, whatever goes wrong."""

import asyncio
import gc
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import weakref
from contextlib import contextmanager
from secrets import token_hex

import pytest

from tests.support.runtimes import runtime_of, store_of
from warmer import BulkWarming, InvalidTaskError, UnknownTaskError, WaitTimeoutError, WarmerError, WarmingTask
from warmer.cli.exits import EXIT_INTERRUPTED
from warmer.on_demand.bulk import feeder
from warmer_workers.drain import Drain
from warmer_workers.job_context import JobContext


def square(n: int) -> int:
    return n * n


class Workers:
    """Drains, one after the other, in a thread of this process."""

    def __init__(self, warmer) -> None:
        self._warmer = warmer
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(20)

    def _run(self) -> None:
        while not self._stop.is_set():
            job = JobContext(runtime_of(self._warmer), f"worker-{token_hex(3)}", self._stop, is_burst=True)
            if Drain(job).run() == 0:
                self._stop.wait(0.02)


@pytest.fixture
def warmer(make_warmer):
    made = make_warmer()
    made.start()
    return made


@pytest.fixture
def working(make_warmer):
    """Has a worker run, with a `Warmer` of its own that knows the task."""
    started: list[Workers] = []

    def start(task: WarmingTask, **values) -> Workers:
        other = make_warmer(**values)
        other.register(task)
        started.append(Workers(other))
        started[-1].start()
        return started[-1]

    yield start
    for workers in started:
        workers.end()


@contextmanager
def sampling(look):
    """Looks all the time; yields the list of what was seen."""
    seen: list = []
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(0.002):
            seen.append(look())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield seen
    stop.set()
    thread.join(10)


def task_of(compute=square, **values) -> WarmingTask:
    return WarmingTask(**{"task_id": "square", "cache_key": "square:{n}", "compute_fn": compute, **values})


def test_a_generator_is_warmed_by_workers_and_never_more_is_outstanding_than_may(warmer, working):
    task = task_of()
    warmer.register(task)
    working(task)
    with sampling(lambda: (store_of(warmer).targets.backlog(), handle.outstanding) if handle else (0, 0)) as seen:
        handle: BulkWarming | None = None
        handle = warmer.warm_many("square", (n for n in range(3_000)), in_flight=700)
        outcome = handle.wait(120)
    assert (outcome.total, outcome.warmed, outcome.failed) == (3_000, 3_000, 0)
    assert [warmer.get(f"square:{n}") for n in (0, 1_499, 2_999)] == [0, 1_499**2, 2_999**2]
    assert max(backlog for backlog, _ in seen) <= 700
    assert 0 < max(outstanding for _, outstanding in seen) <= 700
    assert (handle.requested, handle.done, handle.outstanding, handle.eta_s) == (3_000, 3_000, 0, 0.0)
    assert handle.rate_per_s > 0
    assert store_of(warmer).control.keys(f"{warmer.settings.namespace}:watchers:*") == []


def test_what_is_fresh_is_not_computed_again_unless_forced(warmer, working):
    calls: list[int] = []

    def compute(n: int) -> int:
        calls.append(n)
        return n

    task = task_of(compute)
    warmer.register(task)
    working(task)
    assert warmer.warm_many("square", range(20)).wait(60).warmed == 20
    assert warmer.warm_many(task, [{"n": n} for n in range(20)]).wait(60).fresh == 20
    assert len(calls) == 20
    assert warmer.warm_many("square", [(n % 20,) for n in range(60)], force=True).wait(60).warmed == 60
    assert len(calls) == 40, "equal items are computed once"


def test_what_fails_and_what_fits_nothing_is_told_and_the_rest_is_warmed(warmer, working):
    def odd(n: int) -> int:
        if n % 2:
            raise ValueError(f"{n} is odd")
        return n

    task = task_of(odd)
    warmer.register(task)
    working(task)
    outcome = warmer.warm_many("square", [*range(10), "x", (1, 2)]).wait(60)
    assert (outcome.total, outcome.warmed, outcome.failed) == (12, 5, 7)
    assert outcome.errors['square{"n":3}'] == "ValueError: 3 is odd"
    assert "item 11: 'x'" in outcome.errors
    assert "item 12: (1, 2)" in outcome.errors


def test_a_warmed_function_is_warmed_in_bulk_beside_an_event_loop_too(warmer, working):
    @warmer.warmed("double:{n}", ttl=60)
    def double(n: int) -> int:
        return 2 * n

    @warmer.warmed("triple:{n}", ttl=60)
    async def triple(n: int) -> int:
        return 3 * n

    for function in (double, triple):
        working(function.task)

    async def warm() -> tuple[int, int]:
        handle = await triple.warm_many(range(30))
        with pytest.raises(WaitTimeoutError):
            await (await triple.warm_many(_stuck(stop))).within(0.05)
        return (await handle).warmed, (await handle.within(30)).total

    stop = threading.Event()
    assert double.warm_many([1, (2,), {"n": 3}]).wait(60).warmed == 3
    assert (double.get(3), asyncio.run(warm())) == (6, (30, 30))
    stop.set()


def _stuck(stop: threading.Event):
    stop.wait(30)
    yield from ()


def test_a_waiter_that_is_cancelled_leaves_the_run_and_its_other_waiters_alone(warmer, working):
    task = task_of()
    warmer.register(task)

    async def wait() -> int:
        handle = warmer.warm_many("square", range(10))
        waiters = [asyncio.ensure_future(handle.within(60)) for _ in range(2)]
        await asyncio.sleep(0)
        waiters[0].cancel()
        working(task)
        return (await waiters[1]).warmed

    assert asyncio.run(wait()) == 10


@pytest.mark.parametrize("given", ["unheard", "off", None, 7])
def test_what_cannot_be_warmed_is_refused_at_once_and_nothing_is_read(warmer, given):
    warmer.register(task_of(task_id="off", cache_key="off:{n}", enabled=False))

    def items():
        pytest.fail("was read")
        yield

    with pytest.raises((UnknownTaskError, InvalidTaskError), match=r"not registered|disabled|expected a task"):
        warmer.warm_many(given, items())


def test_one_thing_instead_of_many_is_refused(warmer):
    warmer.register(task_of())
    with pytest.raises(InvalidTaskError, match="an item for each target"):
        warmer.warm_many("square", {"n": 1})
    with pytest.raises(InvalidTaskError, match="in_flight"):
        warmer.warm_many("square", [1], in_flight=0)


def test_cancelling_in_the_middle_stops_feeding_and_finishes_what_has_begun(warmer, working, eventually):
    task = task_of()
    warmer.register(task)
    working(task)
    read = []

    def items():
        for n in range(1_000_000):
            read.append(n)
            yield n

    handle = warmer.warm_many("square", items(), in_flight=300)
    eventually(lambda: handle.warmed > 300, 60)
    threads = [threading.Thread(target=handle.cancel) for _ in range(4)]
    for thread in threads:
        thread.start()
    outcome = handle.wait(60)
    assert handle.is_cancelled
    assert outcome.warmed == handle.done >= 300
    assert outcome.cancelled == len(read) - outcome.warmed > 0
    assert len(read) < 100_000
    eventually(lambda: store_of(warmer).targets.backlog() == 0, 60)


def test_a_run_goes_on_when_its_handle_is_dropped_and_nothing_keeps_it_afterwards(warmer, working, eventually):
    task = task_of()
    warmer.register(task)
    handle = warmer.warm_many("square", range(50))
    dropped, run = weakref.ref(handle), weakref.ref(handle._feeder)
    del handle
    assert dropped() is None, "nothing but its owner holds a handle"
    working(task)
    eventually(lambda: warmer.get("square:49") == 49**2, 60)
    eventually(lambda: (gc.collect(), run())[1] is None)


def test_closing_the_warmer_ends_its_runs(make_warmer):
    warmer = make_warmer()
    warmer.register(task_of())
    handle = warmer.warm_many("square", range(50))
    warmer.close()
    assert handle.is_done
    with pytest.raises(WarmerError, match="was closed"):
        handle.wait()


def test_a_forked_child_is_told_that_the_run_is_elsewhere(warmer):
    warmer.register(task_of())
    handle = warmer.warm_many("square", range(5))
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            handle.wait(30)
        except BaseException as error:
            os.write(writer, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert b"is a fork" in os.read(reader, 1_000)
    assert not handle.is_done
    for end in (reader, writer):
        os.close(end)


def test_redis_that_stops_and_comes_back_empty_delays_a_run_and_loses_nothing(
    own_server, make_warmer, working, eventually, monkeypatch
):
    monkeypatch.setattr(feeder, "CHECK_INTERVAL_S", 0.5)
    task = task_of()
    warmer = make_warmer(redis_url=own_server.url, redis_timeout_s=0.5)
    warmer.register(task)
    handle = warmer.warm_many("square", range(2_000), in_flight=500)
    eventually(lambda: handle.requested, 20)
    own_server.restart_empty()
    assert not handle.is_done
    eventually(lambda: runtime_of(warmer).background.tick() and store_of(warmer).tasks.definitions(), 20)
    working(task, redis_url=own_server.url)
    outcome = handle.wait(120)
    assert (outcome.warmed + outcome.fresh, outcome.failed) == (2_000, 0)


def test_outcomes_that_got_lost_are_asked_for_again(warmer, working, eventually, monkeypatch):
    monkeypatch.setattr(feeder, "CHECK_INTERVAL_S", 0.3)
    monkeypatch.setattr(feeder, "OVERDUE_S", 1.0)
    lost = []
    hear = store_of(warmer).requests.next_outcomes

    def lose_some(watcher, most, timeout_s):
        told = hear(watcher, most, timeout_s)
        kept = told[max(0, 40 - len(lost)) :]
        lost.extend(told[: len(told) - len(kept)])
        return kept

    monkeypatch.setattr(store_of(warmer).requests, "next_outcomes", lose_some)
    task = task_of()
    warmer.register(task)
    working(task)
    outcome = warmer.warm_many("square", range(100), force=True).wait(60)
    assert (outcome.warmed, outcome.fresh, len(lost)) == (60, 40, 40)


def test_a_hundred_thousand_targets_stream_through_in_bounded_memory(warmer, monkeypatch):
    """The engine is left out: whatever is asked for is told as warmed at once."""
    warmer.register(task_of())
    asked: list[str] = []
    most = 0

    def request(refs, **options):
        nonlocal most
        asked.extend(refs)
        most = max(most, len(asked))
        return ["asked"] * len(refs)

    def next_outcomes(watcher, most, timeout_s):
        told = [asked.pop() for _ in range(min(most, len(asked)))]
        return [{"ref": ref, "result": "published", "duration_ms": 1.0, "error": ""} for ref in told]

    monkeypatch.setattr(store_of(warmer).requests, "submit", request)
    monkeypatch.setattr(store_of(warmer).requests, "next_outcomes", next_outcomes)
    outcome = warmer.warm_many("square", (n for n in range(100_000)), in_flight=2_000).wait(120)
    assert (outcome.total, outcome.warmed) == (100_000, 100_000)
    assert most <= 2_000


# --- the command ---------------------------------------------------------------------------------------------

TASKS = """
    import time
    from warmer import WarmingTask, register_warming_task

    def square(n: int) -> int:
        if n == 13:
            raise ValueError("unlucky")
        return n * n

    def slow(n: int) -> int:
        time.sleep(0 if n == 0 else 2)
        return n

    register_warming_task(WarmingTask(task_id="square", cache_key="square:{n}", compute_fn=square))
    register_warming_task(WarmingTask(task_id="slow", cache_key="slow:{n}", compute_fn=slow))
"""


@pytest.fixture
def tasks(fleet, eventually):
    fleet.write("fleet_tasks", TASKS)
    fleet.python("import fleet_tasks, warmer; warmer.start_cache_warming()")
    fleet.scheduler()
    fleet.worker()
    return fleet


def output(fleet, log: str) -> str:
    return (fleet.folder / f"{log}.txt").read_text()


def test_the_command_warms_the_lines_of_a_file_and_tells_how_it_went(tasks):
    path = tasks.folder / "items.jsonl"
    path.write_text("\n".join(['{"n": 1}', "[2]", "3", '"4"']) + "\n")
    process = tasks.run("warm", "square", "--many", "items.jsonl", log="good")
    assert process.wait(60) == 0
    assert output(tasks, "good").startswith("warmed 4, fresh 0, failed 0 of 4 in ")

    path.write_text("1\n[nonsense\n13\n")
    process = tasks.run("warm", "square", "--many", "items.jsonl", "--json", "--force", log="bad")
    assert process.wait(60) == 1
    printed, _, complaints = output(tasks, "bad").partition("\n}\n")
    outcome = json.loads(printed + "}")
    assert (outcome["total"], outcome["warmed"], outcome["failed"]) == (3, 1, 2)
    assert "item 2: line 2 is not JSON" in complaints
    assert 'square{"n":13}: ValueError: unlucky' in complaints

    assert tasks.run("warm", "square", "--many", "none.jsonl", log="none").wait(60) == 2
    assert "cannot be read" in output(tasks, "none")
    assert "No such file" in output(tasks, "none")


@pytest.mark.parametrize("pipe", ["-", "named"])
def test_ctrl_c_cancels_and_tells_what_was_done_even_while_a_pipe_keeps_one_waiting(tasks, eventually, pipe):
    os.mkfifo(tasks.folder / "named")
    process = subprocess.Popen(
        [sys.executable, "-m", "warmer", "warm", "slow", "--many", pipe, "--in-flight", "4"],
        env=tasks.environment,
        cwd=tasks.folder,
        stdin=subprocess.PIPE if pipe == "-" else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    tasks.processes.append(process)
    writer = process.stdin if pipe == "-" else (tasks.folder / "named").open("wb")
    writer.write(b"".join(b"%d\n" % n for n in range(50)))
    writer.flush()
    eventually(lambda: tasks.python("import warmer; print(warmer.get('slow:0'))").strip() == "0", 60)
    process.send_signal(signal.SIGINT)
    said = process.stdout.read().decode()
    assert process.wait(60) == EXIT_INTERRUPTED, said
    writer.close()
    process.stdout.close()
    assert re.search(r"warmed \d+, fresh 0, failed 0, cancelled \d+ in ", said)
    assert "Fatal" not in said
    assert "Traceback" not in said


def test_a_process_ends_at_once_though_its_runs_go_on(fleet):
    fleet.write("fleet_tasks", TASKS)
    began_s = time.monotonic()
    fleet.python(
        """
        import fleet_tasks, itertools, sys, warmer
        handle = warmer.warm_many("square", itertools.count(), in_flight=100)
        while handle.requested < 50:  # the rest is requested once half of that is done
            pass
        """,
        timeout_s=30,
    )
    assert time.monotonic() - began_s < 30
