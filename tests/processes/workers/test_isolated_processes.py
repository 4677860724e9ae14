"""Computations in processes of their own: values come back, crashes stay there, and no process is left behind."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import orjson
import pytest

from tests.support.isolated_tasks import EmptyError, StockError
from warmer import Settings, WarmingTask
from warmer.errors import (
    CodecError,
    ComputationFailedError,
    ComputeTimeoutError,
    InvalidTaskError,
    NotImportableError,
    ValueTooLargeError,
)
from warmer.refresh.cache_options import CacheOptions
from warmer.refresh.effects import call
from warmer.refresh.refreshed import Computed
from warmer.tasks.loading import load
from warmer_workers.executors.isolated.child_process import ChildProcess
from warmer_workers.executors.isolated.compute_request import ComputeRequest
from warmer_workers.executors.isolated.frames import Channel
from warmer_workers.executors.isolated.process_pool import ProcessPool, Slot

TASKS = "tests.support.isolated_tasks"
LIMIT_S = 60
KEY = "a secret of 16 bytes or more"


def task_of(function: str, *, many: str | None = None, module: str = TASKS, **fields: Any) -> WarmingTask:
    return WarmingTask(
        task_id="t",
        cache_key=fields.pop("cache_key", "t:{n}"),
        compute_fn=f"{module}:{function}",
        compute_many_fn=None if many is None else f"{module}:{many}",
        **fields,
    )


def request_of(task: WarmingTask, *numbers: int, **options: Any) -> ComputeRequest:
    return ComputeRequest(
        definition=task.definition(),
        compute_path=task.compute_path,
        compute_many_path=task.compute_many_path,
        cache_errors=task.cache_errors,
        refs=options.pop("refs", tuple(task.target(n=n).ref for n in numbers)),
        timeout_s=options.pop("timeout_s", LIMIT_S),
        **options,
    )


def value_of(task: WarmingTask, computed: Computed, number: int, **settings: Any) -> Any:
    assert computed.encoded is not None, computed
    known = task.model_copy(update={"compute_fn": load(task.compute_path)})
    codec = CacheOptions.of_task(known, Settings.load(**settings)).codec
    return codec.decode(known.target(n=number).cache_key, *computed.encoded)


@pytest.fixture(scope="module")
def shared() -> Iterator[ProcessPool]:
    """Processes of which a test only wants to know what they compute: starting one takes its time."""
    made = ProcessPool(2)
    yield made
    made.shutdown()
    assert children() == set()


@pytest.fixture
def do(shared: ProcessPool) -> Callable[[ComputeRequest], list[Computed]]:
    return partial(done, shared)


@pytest.fixture
def processes() -> Iterator[ProcessPool]:
    """Processes of the test's own."""
    made = ProcessPool(2)
    yield made
    made.shutdown()


@pytest.fixture
def born() -> Callable[[], set[int]]:
    """Says which children were started since the test began, and have not been waited for."""
    before = children()
    return lambda: children() - before


def done(processes: ProcessPool, request: ComputeRequest) -> list[Computed]:
    """Have a request computed and return what is told: once, and from another thread."""
    told: SimpleQueue[tuple[int, list[Computed]]] = SimpleQueue()
    processes.submit(request, lambda computed: told.put((threading.get_ident(), computed)))
    thread, computed = told.get(timeout=LIMIT_S)
    assert thread != threading.get_ident()
    assert len(computed) == len(request.refs)
    assert told.empty()
    return computed


def children() -> set[int]:
    """The isolated children of this process, alive or not yet waited for."""
    pids: set[int] = set()
    for listed in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        with suppress(FileNotFoundError):  # the thread has ended
            pids.update(map(int, listed.read_text().split()))
    return {pid for pid in pids if is_isolated(pid)}


def is_isolated(pid: int) -> bool:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return b"warmer_workers.executors.isolated.child_main" in line or not line  # a zombie has none


def is_gone(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "number", "fields", "settings"),
    [
        ("product", 42, {}, {}),
        ("product_soon", 42, {}, {}),
        ("day", 29, {}, {}),
        ("raw", 256, {"codec": "bytes"}, {}),
        ("raw", 0, {"codec": "bytes"}, {}),
        ("anything", 5, {"codec": "msgpack"}, {}),
        ("anything", 5, {"codec": "pickle"}, {"pickle_key": KEY}),
        ("large", 3_000_000, {}, {}),
        ("large", 3_000_000, {"compress_over_bytes": 1000}, {"max_value_bytes": 10_000}),
    ],
)
def test_a_value_comes_back_as_it_was(do, function, number, fields, settings) -> None:
    task = task_of(function, **fields)
    options = {name: value for name, value in settings.items() if name != "pickle_key"}
    [computed] = do(request_of(task, number, signing_key=KEY.encode(), **options))
    assert computed.error is None
    assert not computed.crashed
    assert not computed.is_none
    assert value_of(task, computed, number, **settings) == call(load(task.compute_path), {"n": number})


def test_none_is_told_as_none(do) -> None:
    task = task_of("nothing")
    [computed] = do(request_of(task, 1))
    assert computed.is_none
    assert value_of(task, computed, 1) is None


def test_a_decorated_function_is_computed_and_not_read(do) -> None:
    task = task_of("decorated")
    [computed] = do(request_of(task, 41))
    assert computed.encoded.payload == b"42"


def test_durations_are_those_of_the_computations_alone(do) -> None:
    short, long = do(request_of(task_of("sleep_ms"), 0, 200))
    assert short.duration_s < 0.1
    assert 0.2 <= long.duration_s < 1


def test_reads_of_a_computation_are_not_counted(do) -> None:
    [computed] = do(request_of(task_of("counted_reads"), 1))
    assert computed.encoded.payload == b"0"


def test_what_a_task_prints_disturbs_nothing(capfd, processes) -> None:
    for _ in range(2):
        computed = done(processes, request_of(task_of("talk"), 1, 3))
        assert [one.encoded.payload for one in computed] == [b"1", b"3"]
    said = capfd.readouterr().out
    assert said.count("spoken 3\n") == 2
    assert said.count("written\n") == 8
    assert said.count("echoed\n") == 4


# --- batches ---------------------------------------------------------------------------------------------------------


def test_a_batch_function_computes_all_targets_of_an_order(do) -> None:
    computed = do(request_of(task_of("product", many="load_many"), 1, 7, 3))
    assert [one.encoded.payload for one in computed] == [b"1", b"null", b"9"]
    assert [one.is_none for one in computed] == [False, True, False]


def test_of_a_batch_only_the_culprit_fails(do) -> None:
    one, none, four = do(request_of(task_of("product", many="load_some"), 1, 0, 4))
    assert (one.encoded.payload, four.encoded.payload) == (b"100", b"25")
    assert isinstance(none.error, ZeroDivisionError)


def test_of_a_batch_only_the_one_that_crashes_alone_is_told_crashed(do) -> None:
    computed = do(request_of(task_of("product", many="load_many"), 1, 13, 3))
    assert [one.crashed for one in computed] == ["", "exit code 3", ""]
    assert [one.encoded and one.encoded.payload for one in computed] == [b"1", None, b"9"]


def test_of_targets_computed_one_by_one_only_those_that_crash_are_told_crashed(do) -> None:
    computed = do(request_of(task_of("die_of_odd"), 2, 1, 4, 3, 6))
    assert [one.crashed for one in computed] == ["", "exit code 3", "", "exit code 3", ""]
    assert [one.encoded.payload for one in computed[::2]] == [b"2", b"4", b"6"]


def test_an_exit_in_a_batch_function_is_an_error_of_its_targets(do) -> None:
    computed = do(request_of(task_of("product", many="exit_many"), 1, 2))
    assert ["SystemExit: 4" in str(one.error) for one in computed] == [True, True]
    assert computed[0].error is not computed[1].error


def test_targets_that_the_task_does_not_have_are_refused_one_by_one(do) -> None:
    for many, payload in (("load_some", b"50"), (None, b'{"id":2,"price":6}')):
        task = task_of("product", many=many)
        wrong, right = do(request_of(task, refs=('t{"m":1}', task.target(n=2).ref)))
        assert isinstance(wrong.error, InvalidTaskError)
        assert right.encoded.payload == payload


# --- exceptions ------------------------------------------------------------------------------------------------------


def test_an_exception_that_is_cached_comes_back_as_itself(do) -> None:
    [computed] = do(request_of(task_of("missing", cache_errors={StockError: 30}), 42))
    assert type(computed.error) is StockError
    assert computed.error.args == ("no stock", 42)


def test_an_exception_comes_back_as_the_nearest_class_that_is_cached(do) -> None:
    [computed] = do(request_of(task_of("empty", cache_errors={StockError: 30, Exception: 5}), 42))
    assert type(computed.error) is StockError
    assert not isinstance(computed.error, EmptyError)
    assert str(computed.error) == "nothing of 42"


def test_a_class_that_no_other_process_could_import_is_quoted(do) -> None:
    class LocalError(Exception):
        pass

    [computed] = do(request_of(task_of("strange", cache_errors={LocalError: 30}), 1))
    assert type(computed.error) is ComputationFailedError
    assert "StrangeError: odd: 1" in str(computed.error)


def test_an_exception_that_python_brings_comes_back_as_itself(do) -> None:
    [computed] = do(request_of(task_of("wrong"), 1))
    assert type(computed.error) is ZeroDivisionError
    assert str(computed.error) == "division by zero"


def test_an_exception_that_would_lose_what_it_says_is_quoted(do) -> None:
    [computed] = do(request_of(task_of("unreadable"), 1))
    assert type(computed.error) is ComputationFailedError
    assert "FileNotFoundError: [Errno 2] No such file or directory: '/no/such/file'" in str(computed.error)


def test_an_exit_is_an_error_and_no_crash(do) -> None:
    [exited] = do(request_of(task_of("leave"), 3))
    assert "SystemExit: 3" in str(exited.error)
    assert not exited.crashed


def test_a_value_that_cannot_be_cached_is_an_error(do) -> None:
    [lost] = do(request_of(task_of("unstorable"), 1))
    assert type(lost.error) is CodecError
    [large] = do(request_of(task_of("large"), 101, max_value_bytes=100))
    assert type(large.error) is ValueTooLargeError


def test_an_async_function_computes_the_targets_of_a_request_side_by_side(processes: ProcessPool) -> None:
    task = task_of("meeting")
    told = done(processes, request_of(task, *range(20)))
    assert [value_of(task, computed, n) for n, computed in enumerate(told)] == [20] * 20


def test_an_async_function_is_cancelled_at_its_time_out(do) -> None:
    [computed] = do(request_of(task_of("never"), 1, timeout_s=0.1))
    assert type(computed.error) is ComputeTimeoutError
    assert 0.1 <= computed.duration_s < 10


@pytest.mark.parametrize(
    ("module", "function", "reason"),
    [
        ("no_such_module_anywhere", "load", "no_such_module_anywhere"),
        (TASKS, "no_such_function", "no_such_function"),
        ("tests.support.broken_tasks", "load", "RuntimeError: half of it is missing"),
    ],
)
def test_a_function_that_cannot_be_imported_is_an_error_with_the_reason(do, module, function, reason) -> None:
    computed = do(request_of(task_of(function, module=module), 1, 2))
    assert [type(one.error) for one in computed] == [NotImportableError, NotImportableError]
    assert reason in str(computed[0].error)


def test_a_child_that_cannot_start_is_an_error_with_the_reason(capfd) -> None:
    processes, told = ProcessPool(1, import_path=["/no/such/folder"]), SimpleQueue()
    try:
        processes.submit(request_of(task_of("product"), 1, 2), told.put)
        computed = told.get(timeout=LIMIT_S)
        assert [type(one.error) for one in computed] == [ComputationFailedError, ComputationFailedError]
        assert "exit code 1" in str(computed[0].error)
    finally:
        processes.shutdown()
    assert capfd.readouterr().err


def test_a_request_that_cannot_be_sent_is_an_error_and_blocks_nobody(do) -> None:
    task = task_of("product")
    [refused] = do(request_of(task, refs=("\ud800",)))
    assert isinstance(refused.error, ComputationFailedError)
    [computed] = do(request_of(task, 1))
    assert computed.encoded is not None


# --- crashes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "number", "crashed"),
    [("segfault", 0, "signal SIGSEGV"), ("die", 3, "exit code 3"), ("die", 0, "exit code 0")],
)
def test_a_crash_is_told_and_another_child_takes_over(capfd, processes, function, number, crashed) -> None:
    [computed] = done(processes, request_of(task_of(function), number))
    assert computed.crashed == crashed
    assert computed.error is None
    assert computed.encoded is None
    [after] = done(processes, request_of(task_of("product"), 2))
    assert after.encoded.payload == b'{"id":2,"price":6}'
    assert ("string_at" in capfd.readouterr().err) == (function == "segfault")


def test_a_child_that_is_killed_from_outside_is_told_crashed(processes, born, eventually) -> None:
    told: SimpleQueue[list[Computed]] = SimpleQueue()
    request = request_of(task_of("sleep_ms"), 60_000)
    processes.submit(request, told.put)
    eventually(lambda: processes.computing_since_s(request))
    [child] = born()
    os.kill(child, signal.SIGKILL)
    assert told.get(timeout=LIMIT_S)[0].crashed == "signal SIGKILL"


def test_a_child_that_dies_idle_costs_no_order(processes, eventually) -> None:
    task = task_of("own_process")
    pid = int(done(processes, request_of(task, 1))[0].encoded.payload)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: is_gone(pid))
    assert int(done(processes, request_of(task, 1))[0].encoded.payload) != pid


def test_a_child_that_dies_when_it_is_sent_a_request_costs_none() -> None:
    slot, task = Slot((), {}), task_of("own_process")
    assigned: list[ChildProcess] = []

    def kill_the_first(child: ChildProcess) -> None:
        if not assigned:
            child.kill()
        assigned.append(child)

    try:
        [before] = slot.compute(request_of(task, 1), lambda child: None)
        [after] = slot.compute(request_of(task, 1), kill_the_first)
    finally:
        slot.close()
    assert after.encoded is not None
    assert after.encoded != before.encoded
    assert len(assigned) == 2


def test_a_crash_is_noticed_though_something_that_was_forked_lives_on(do) -> None:
    began_s = time.monotonic()
    [computed] = do(request_of(task_of("die_and_leave_another"), 5))
    assert computed.crashed == "exit code 5"
    assert time.monotonic() - began_s < 15


def test_a_call_to_stop_that_reaches_everybody_ends_no_computation(processes, born, eventually) -> None:
    told: SimpleQueue[list[Computed]] = SimpleQueue()
    request = request_of(task_of("sleep_ms"), 500)
    processes.submit(request, told.put)
    eventually(lambda: processes.computing_since_s(request))
    [child] = born()
    os.kill(child, signal.SIGTERM)
    os.kill(child, signal.SIGINT)
    assert int(told.get(timeout=LIMIT_S)[0].encoded.payload) == child


def test_a_task_may_have_a_pool_of_processes(do) -> None:
    [computed] = do(request_of(task_of("start_pool"), 3))
    assert computed.encoded.payload == b"[3,2,1]"


# --- giving up -------------------------------------------------------------------------------------------------------


def test_giving_up_kills_the_child_and_all_it_has_started(processes, eventually, tmp_path) -> None:
    told: SimpleQueue[list[Computed]] = SimpleQueue()
    task = task_of("hold_interpreter", cache_key="t:{folder:hash}")
    request = request_of(task, refs=(task.target(folder=str(tmp_path)).ref,))
    processes.submit(request, told.put)
    child, helper = (
        int(eventually(lambda name=name: (tmp_path / name).exists() and (tmp_path / name).read_text(), LIMIT_S))
        for name in ("child", "helper")
    )
    processes.cancel(request)
    eventually(lambda: is_gone(child) and is_gone(helper), 2)
    assert processes.computing_since_s(request) is None
    assert done(processes, request_of(task_of("product"), 2))[0].encoded is not None
    assert told.empty()


def test_a_request_that_is_cancelled_in_the_queue_is_never_begun() -> None:
    processes, told = ProcessPool(1), SimpleQueue()
    try:
        task = task_of("sleep_ms")
        first, second, third = (request_of(task, 300), request_of(task, 1), request_of(task, 2))
        for request in (first, second, third):
            processes.submit(request, lambda computed, request=request: told.put(request))
        processes.cancel(second)
        assert [told.get(timeout=LIMIT_S), told.get(timeout=LIMIT_S)] == [first, third]
        assert told.empty()
    finally:
        processes.shutdown()


def test_giving_up_what_is_over_kills_nobody(processes) -> None:
    task = task_of("own_process")
    request = request_of(task, 1)
    [before] = done(processes, request)
    processes.cancel(request)
    assert done(processes, request_of(task, 1))[0].encoded == before.encoded


def test_requests_cancelled_at_any_moment_leave_every_other_told_once(processes) -> None:
    task, told = task_of("sleep_ms"), SimpleQueue()
    requests = [request_of(task, 1) for _ in range(60)]
    for request in requests:
        processes.submit(request, lambda computed, request=request: told.put((request, computed)))
    for request in requests[::3]:
        processes.cancel(request)
    kept = {request for request in requests if request not in requests[::3]}
    heard: list[ComputeRequest] = []
    while not kept <= set(heard):
        request, [computed] = told.get(timeout=LIMIT_S)
        assert computed.encoded is not None
        heard.append(request)
    assert len(heard) == len(set(heard))


def test_the_time_of_a_computation_counts_from_its_own_beginning(processes, eventually) -> None:
    request = request_of(task_of("sleep_ms"), 400, 60_000)
    asked_s = time.monotonic()
    processes.submit(request, lambda computed: None)
    assert processes.computing_since_s(request) is None
    first_s = eventually(lambda: processes.computing_since_s(request), LIMIT_S)
    second_s = eventually(
        lambda: processes.computing_since_s(request) > first_s and processes.computing_since_s(request)
    )
    assert first_s > asked_s
    assert second_s - first_s >= 0.35


# --- side by side ----------------------------------------------------------------------------------------------------


def test_two_requests_run_at_the_same_time(processes, tmp_path) -> None:
    task, told = task_of("meet", cache_key="t:{folder:hash}:{me}:{other}"), SimpleQueue()
    for me, other in (("a", "b"), ("b", "a")):
        target = task.target(folder=str(tmp_path), me=me, other=other)
        processes.submit(request_of(task, refs=(target.ref,)), told.put)
    assert [told.get(timeout=LIMIT_S)[0].encoded.payload for _ in range(2)] == [b"true", b"true"]


def test_children_are_reused_and_no_more_than_allowed(processes) -> None:
    task, told = task_of("sleep_ms"), SimpleQueue()
    for _ in range(20):
        processes.submit(request_of(task, 20), told.put)
    pids = {told.get(timeout=LIMIT_S)[0].encoded.payload for _ in range(20)}
    assert 1 <= len(pids) <= 2


# --- processes -------------------------------------------------------------------------------------------------------


def test_dismissing_leaves_no_process_and_no_zombie(processes, born, eventually) -> None:
    told: SimpleQueue[list[Computed]] = SimpleQueue()
    requests = [request_of(task_of("sleep_ms"), 60_000) for _ in range(3)]
    for request in requests:
        processes.submit(request, told.put)
    eventually(lambda: all(map(processes.computing_since_s, requests[:2])), LIMIT_S)
    pids = born()
    assert len(pids) == 2
    processes.shutdown()
    assert born() == set()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert told.empty()
    with pytest.raises(RuntimeError, match="shut down"):
        processes.submit(request_of(task_of("product"), 1), told.put)


def test_dismissing_while_a_child_starts_leaves_none(born) -> None:
    processes = ProcessPool(2)
    processes.submit(request_of(task_of("product"), 1), lambda computed: None)
    processes.shutdown()
    assert born() == set()


def test_a_child_ends_with_its_parent_also_while_it_holds_the_interpreter(eventually, tmp_path) -> None:
    script = f"""
import sys, time
sys.path[:] = {sys.path!r}
from tests.processes.workers.test_isolated_processes import request_of, task_of
from warmer_workers.executors.isolated.process_pool import ProcessPool, Slot
task = task_of("hold_interpreter", cache_key="t:{{folder:hash}}")
ProcessPool(1).submit(request_of(task, refs=(task.target(folder={str(tmp_path)!r}).ref,)), print)
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", script])
    try:
        child, helper = (
            int(eventually(lambda name=name: (tmp_path / name).exists() and (tmp_path / name).read_text(), LIMIT_S))
            for name in ("child", "helper")
        )
        assert not is_gone(child)
    finally:
        parent.kill()
        parent.wait(LIMIT_S)
    eventually(lambda: is_gone(child) and is_gone(helper), 2)


def test_a_child_is_a_fresh_interpreter_that_knows_the_way_to_modules(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("WARMER_EMBEDDED", "1")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    processes, told = ProcessPool(1, environment={"WARMER_NAMESPACE": "of-the-parent"}), SimpleQueue()
    try:
        processes.submit(request_of(task_of("environment"), 1), told.put)
        seen = orjson.loads(told.get(timeout=LIMIT_S)[0].encoded.payload)
    finally:
        processes.shutdown()
    assert seen["embedded"] is False
    assert seen["namespace"] == "of-the-parent"
    assert seen["path"] == sys.path
    assert len(seen["arguments"]) == 1


def test_a_module_that_switches_warming_on_starts_nothing_in_a_child(processes) -> None:
    [computed] = done(processes, request_of(task_of("threads", module="tests.support.starting_tasks"), 1))
    assert orjson.loads(computed.encoded.payload) == ["MainThread", "warmer-lifeline"]


def test_the_signing_key_is_nowhere_to_be_seen(processes, born, eventually) -> None:
    request = request_of(task_of("sleep_ms", codec="pickle"), 60_000, signing_key=KEY.encode())
    assert KEY not in repr(request)
    processes.submit(request, lambda computed: None)
    eventually(lambda: processes.computing_since_s(request), LIMIT_S)
    for child in born():
        for name in ("cmdline", "environ"):
            assert KEY.encode() not in Path(f"/proc/{child}/{name}").read_bytes()


# --- messages --------------------------------------------------------------------------------------------------------


def test_a_message_that_breaks_off_is_no_message() -> None:
    here, there = socket.socketpair()
    with here, there:
        Channel(here).send({"refs": ["catalog"]}, b"payload")
        whole = there.recv(1000)
        here.sendall(whole + whole[:-1])
        here.shutdown(socket.SHUT_WR)
        receiver = Channel(there)
        assert receiver.receive() == ({"refs": ["catalog"]}, b"payload")
        assert receiver.receive() is None
