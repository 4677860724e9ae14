"""The child of a worker that computes what must not run in the worker's own process.

It is a fresh interpreter, started by `childprocess`, and speaks in `frames` over a socket that no task knows of, so
that a task may print what it likes::

    child   {"ready"}
    worker  {"refs"}                  the task as JSON
    child   {"began"}                 once the task's module is imported: its time counts from here
    child   {"duration_s", "number", "is_none"}     the value, as an entry holds it
    child   {"duration_s"}            or what was raised: one of these two for each ref, in their order

It ends with the worker, however that ends, and be it in the middle of a computation.
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
from warmer_workers.executors.isolated.error_transfer import packed
from warmer_workers.executors.isolated.frames import Channel, Frame
from warmer_workers.executors.isolated.order import BYTE_FOR_BYTE

MAX_TASKS = 256
"""So many tasks are kept prepared."""


def main(channel: int, lifeline: int) -> None:
    """Compute what comes, until the worker is gone.

    Args:
        channel: The file descriptor of the socket to the worker.
        lifeline: That of a pipe which ends with the worker.
    """
    for inherited in (channel, lifeline):
        os.set_inheritable(inherited, False)  # what a task starts must not hold them open
    _end_with_worker(lifeline)
    _leave_signals_to_worker()
    forbid_switching_on()
    worker = Channel(socket.socket(fileno=channel))
    with contextlib.suppress(BrokenPipeError):
        worker.send({"ready": True})
        while (order := worker.receive()) is not None:
            _carry_out(order, worker)


def _end_with_worker(lifeline: int) -> None:
    if hasattr(fcntl, "F_SETSIG"):  # Linux itself sees to it, also while a computation never lets go of the interpreter
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)

    def watch() -> None:
        while os.read(lifeline, 1):
            pass
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, name="warmer-lifeline", daemon=True).start()


def _leave_signals_to_worker() -> None:
    """Live on when everybody is told to stop: the worker says what of it is finished and what is given up."""
    to_stop = (signal.SIGINT, signal.SIGTERM)
    for number in to_stop:
        signal.signal(number, lambda signum, frame: None)
    # What a task forks, such as the workers of a multiprocessing.Pool, is ended by signals as ever.
    os.register_at_fork(after_in_child=lambda: [signal.signal(number, signal.SIG_DFL) for number in to_stop])


class _Prepared(NamedTuple):
    """A task that can be computed here.

    Args:
        runtime: The task, with the function of this process.
        options: How its values are cached.
        timeout_s: Seconds after which a computation by an async function is cancelled.
    """

    runtime: TaskRuntime
    options: CacheOptions
    timeout_s: float


def _carry_out(order: Frame, worker: Channel) -> None:
    refs: list[str] = order.header["refs"]
    try:
        prepared = _prepared(order.payload)
    except BaseException as error:
        for _ in refs:
            worker.send({"duration_s": 0.0}, packed(error, {}))
        return
    worker.send({"began": True})
    for computed in _computed(prepared, refs):
        _show_what_was_printed()
        worker.send(*_message(computed, prepared.options))


def _show_what_was_printed() -> None:
    """Let what a task has printed be seen before its value is: who waits for that may end this process."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # a task may have closed it, or put anything in its place
            stream.flush()


@lru_cache(maxsize=MAX_TASKS)
def _prepared(task_as_json: bytes) -> _Prepared:
    """Return a task with what it takes to compute it, ready for many orders."""
    order: dict[str, Any] = orjson.loads(task_as_json)
    function, many_path = _imported(order["compute_path"], "compute_fn"), order["compute_many_path"]
    task = WarmingTask.from_definition(
        orjson.loads(order["definition"]),
        function,
        dict(_classes(order["cache_errors"])),
        None if many_path is None else _imported(many_path, "compute_many_fn"),
    )
    key = order["signing_key"]
    # Without a look at the environment, which may say less than the worker was told.
    settings = Settings.model_construct(
        max_value_bytes=order["max_value_bytes"],
        pickle_key=None if key is None else SecretStr(key.encode(BYTE_FOR_BYTE).decode()),
    )
    options = CacheOptions.of_task(task, settings)
    return _Prepared(TaskRuntime(task, function, lambda: options), options, order["timeout_s"])


def _imported(path: str, name: str) -> Callable[..., Any]:
    try:
        function = load(path, name)
    except NotImportableError:
        raise
    except BaseException as error:
        raise NotImportableError(
            f"{name} {path!r} cannot be imported by a process of its own ({described(error)}); expected a module "
            "that can be imported anywhere"
        ) from error
    return getattr(function, "warmed_function", function)  # else it would read its own warm value


def _classes(seconds_by_path: Mapping[str, float]) -> Iterator[tuple[type[Exception], float]]:
    for path, seconds in seconds_by_path.items():
        with contextlib.suppress(NotImportableError):  # one of a script or a function: it will be quoted
            kind = load(path)
            if isinstance(kind, type) and issubclass(kind, Exception):
                yield kind, seconds


def _computed(prepared: _Prepared, refs: Sequence[str]) -> Iterator[Computed]:
    """Yield the outcome for each target, in their order, as soon as it is there."""
    task = prepared.runtime.task
    found = (_found(prepared.runtime, ref) for ref in refs)
    if task.compute_many_fn is not None:
        yield from _many(prepared, list(found))
    elif len(refs) > 1 and is_async(prepared.runtime.function):
        yield from _side_by_side(prepared, list(found))
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
    except BaseException as error:  # an exit: nothing but this call is ended by it
        computed = Computed(error=error, duration_s=time.monotonic() - began_s)
    return encoded_by(prepared.options.codec, request.cache_key, computed)


def _side_by_side(prepared: _Prepared, found: Sequence[CacheRequest | Computed]) -> Iterator[Computed]:
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
    except BaseException as error:  # an exit: nothing but this call is ended by it
        computed = [Computed(error=error, duration_s=time.monotonic() - began_s)] * len(requests)
    rest = iter(computed)
    for one in found:
        if isinstance(one, CacheRequest):
            yield encoded_by(prepared.options.codec, one.cache_key, next(rest))
        else:
            yield one


def _message(computed: Computed, options: CacheOptions) -> tuple[dict[str, Any], bytes]:
    """Return header and payload of the message that tells the outcome of a computation."""
    header: dict[str, Any] = {"duration_s": computed.duration_s}
    if computed.error is not None:
        return header, packed(computed.error, options.cache_errors)
    number, payload = cast(Encoded, computed.encoded)
    return {**header, "number": int(number), "is_none": computed.is_none}, payload
