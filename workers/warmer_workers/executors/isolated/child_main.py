"""Main program of an isolated child process: computes the requests of its worker.

It is a fresh interpreter, started by `child_process`. It exchanges `frames` over a socket of its own, so that a task
may use stdin and stdout::

    child   {"ready"}
    worker  {"refs"}                  payload: the task as JSON
    child   {"began"}                 the task's module is imported; its time-out counts from now on
    child   {"duration_s", "number", "is_none"}     payload: the encoded value
    child   {"duration_s"}            payload: the exception; one of these two for each ref, in their order

The child ends with its worker, also in the middle of a computation.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

import orjson
from pydantic import SecretStr

from warmer.codec import Encoded
from warmer.engine.claims import TaskRuntime
from warmer.engine.switching import forbid_switching_on
from warmer.errors import NotImportableError, described
from warmer.refresh.cache_options import CacheOptions
from warmer.refresh.effects import arun, run
from warmer.refresh.publisher import encoded_by
from warmer.refresh.read_counter import uncounted_reads
from warmer.refresh.refreshed import Computed
from warmer.refresh.refresher import computing_values
from warmer.refresh.request import CacheRequest
from warmer.settings import Settings
from warmer.tasks.functions import is_async
from warmer.tasks.loading import load
from warmer.tasks.task import WarmingTask
from warmer_workers.computation import NO_THREADS
from warmer_workers.executors.isolated.compute_request import BYTE_FOR_BYTE
from warmer_workers.executors.isolated.error_transfer import packed
from warmer_workers.executors.isolated.frames import Channel, Frame

MAX_TASKS = 256
"""Maximum number of tasks that are kept prepared."""


def main(channel: int, lifeline: int) -> None:
    """Compute requests until the worker is gone.

    Args:
        channel: The file descriptor of the socket to the worker.
        lifeline: The file descriptor of a pipe that closes with the worker.
    """
    for inherited in (channel, lifeline):
        os.set_inheritable(inherited, False)  # processes that a task starts must not hold them open
    _end_with_worker(lifeline)
    _leave_signals_to_worker()
    forbid_switching_on()
    worker = Channel(socket.socket(fileno=channel))
    with contextlib.suppress(BrokenPipeError):
        worker.send({"ready": True})
        while (request := worker.receive()) is not None:
            _carry_out(request, worker)


def _end_with_worker(lifeline: int) -> None:
    if hasattr(fcntl, "F_SETSIG"):  # Linux kills it, also while a computation never releases the interpreter
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)

    def watch() -> None:
        while os.read(lifeline, 1):
            pass
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, name="warmer-lifeline", daemon=True).start()


def _leave_signals_to_worker() -> None:
    """Ignore signals to stop, which a whole process group may get: the worker decides what is finished or cancelled."""
    to_stop = (signal.SIGINT, signal.SIGTERM)
    for number in to_stop:
        signal.signal(number, lambda signum, frame: None)
    # Processes that a task forks, such as those of a multiprocessing.Pool, still end by signals.
    os.register_at_fork(after_in_child=lambda: [signal.signal(number, signal.SIG_DFL) for number in to_stop])


class _Prepared(NamedTuple):
    """A task that can be computed here.

    Args:
        runtime: The task, with the function of this process.
        options: Its cache options.
        timeout_s: Seconds after which a computation by an async function is cancelled.
    """

    runtime: TaskRuntime
    options: CacheOptions
    timeout_s: float


def _carry_out(request: Frame, worker: Channel) -> None:
    refs: list[str] = request.header["refs"]
    try:
        prepared = _prepared(request.payload)
    except BaseException as error:
        for _ in refs:
            worker.send({"duration_s": 0.0}, packed(error, {}))
        return
    worker.send({"began": True})
    for computed in _computed(prepared, refs):
        _flush_output()
        worker.send(*_message(computed, prepared.options))


def _flush_output() -> None:
    """Flush a task's output before its value is sent: the worker may kill this process right after that."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # a task may have closed or replaced it
            stream.flush()


@lru_cache(maxsize=MAX_TASKS)
def _prepared(task_as_json: bytes) -> _Prepared:
    """Return a task, prepared for many requests."""
    request: dict[str, Any] = orjson.loads(task_as_json)
    function, many_path = _imported(request["compute_path"], "compute_fn"), request["compute_many_path"]
    task = WarmingTask.from_definition(
        orjson.loads(request["definition"]),
        function,
        dict(_classes(request["cache_errors"])),
        None if many_path is None else _imported(many_path, "compute_many_fn"),
    )
    key = request["signing_key"]
    # The environment is not read, because the worker may be configured by other means.
    settings = Settings.model_construct(
        max_value_bytes=request["max_value_bytes"],
        pickle_key=None if key is None else SecretStr(key.encode(BYTE_FOR_BYTE).decode()),
    )
    options = CacheOptions.of_task(task, settings)
    return _Prepared(TaskRuntime(task, function, lambda: options), options, request["timeout_s"])


def _imported(path: str, name: str) -> Callable[..., Any]:
    try:
        function = load(path, name)
    except NotImportableError:
        raise
    except BaseException as error:
        raise NotImportableError(
            f"{name} {path!r} cannot be imported by an isolated process ({described(error)}); expected a module that "
            "any process can import"
        ) from error
    return getattr(function, "warmed_function", function)  # otherwise it would read its own cached value


def _classes(seconds_by_path: Mapping[str, float]) -> Iterator[tuple[type[Exception], float]]:
    for path, seconds in seconds_by_path.items():
        with contextlib.suppress(NotImportableError):  # a class of a script or a function: its message is sent
            kind = load(path)
            if isinstance(kind, type) and issubclass(kind, Exception):
                yield kind, seconds


def _computed(prepared: _Prepared, refs: Sequence[str]) -> Iterator[Computed]:
    """Yield the outcome of each target, in their order, as soon as it is known."""
    task = prepared.runtime.task
    found = (_found(prepared.runtime, ref) for ref in refs)
    if task.compute_many_fn is not None:
        yield from _many(prepared, list(found))
    elif len(refs) > 1 and is_async(prepared.runtime.function):
        yield from _concurrently(prepared, list(found))
    else:
        for one in found:
            yield _one(prepared, one) if isinstance(one, CacheRequest) else one


def _found(runtime: TaskRuntime, ref: str) -> CacheRequest | Computed:
    try:
        return runtime.request_for(ref)
    except Exception as error:
        return Computed(error=error)


def _one(prepared: _Prepared, request: CacheRequest) -> Computed:
    began_s = time.monotonic()
    try:
        with uncounted_reads():
            (computed,) = run(computing_values([request], prepared.timeout_s))
    except BaseException as error:  # an exit ends this call only
        computed = Computed(error=error, duration_s=time.monotonic() - began_s)
    return encoded_by(prepared.options.codec, request.cache_key, computed)


def _concurrently(prepared: _Prepared, found: Sequence[CacheRequest | Computed]) -> Iterator[Computed]:
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        tasks = [loop.create_task(_aone(prepared, one)) if isinstance(one, CacheRequest) else None for one in found]
        for one, task in zip(found, tasks, strict=True):
            yield loop.run_until_complete(task) if task is not None else cast(Computed, one)


async def _aone(prepared: _Prepared, request: CacheRequest) -> Computed:
    with uncounted_reads():
        (computed,) = await arun(computing_values([request], prepared.timeout_s), NO_THREADS)
    return encoded_by(prepared.options.codec, request.cache_key, computed)


def _many(prepared: _Prepared, found: Sequence[CacheRequest | Computed]) -> Iterator[Computed]:
    requests = [one for one in found if isinstance(one, CacheRequest)]
    began_s = time.monotonic()
    computed: list[Computed] = []
    try:
        with uncounted_reads():
            if requests:
                computed = run(computing_values(requests, prepared.timeout_s, is_batched=True))
    except BaseException as error:  # an exit ends this call only
        computed = [Computed(error=error, duration_s=time.monotonic() - began_s)] * len(requests)
    rest = iter(computed)
    for one in found:
        if isinstance(one, CacheRequest):
            yield encoded_by(prepared.options.codec, one.cache_key, next(rest))
        else:
            yield one


def _message(computed: Computed, options: CacheOptions) -> tuple[dict[str, Any], bytes]:
    """Return header and payload of the message about an outcome."""
    header: dict[str, Any] = {"duration_s": computed.duration_s}
    if computed.error is not None:
        return header, packed(computed.error, options.cache_errors)
    number, payload = cast(Encoded, computed.encoded)
    return {**header, "number": int(number), "is_none": computed.is_none}, payload
