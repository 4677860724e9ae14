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
from warmer.engine.switching import forbid_switching_on
from warmer.errors import NotImportableError, described
from warmer.refresh.batch import Part, computing_many
from warmer.refresh.cache_options import CacheOptions
from warmer.refresh.compute import acall, call
from warmer.refresh.effects import run
from warmer.refresh.publisher import Computed, computed_of
from warmer.refresh.read_counter import uncounted_reads
from warmer.refresh.single_flight import computing
from warmer.settings import Settings
from warmer.tasks.functions import is_async
from warmer.tasks.loading import load
from warmer.tasks.target import Target
from warmer.tasks.task import WarmingTask
from warmer_workers.executors.isolated.error_transfer import packed
from warmer_workers.executors.isolated.frames import Channel, Frame
from warmer_workers.executors.isolated.order import BYTE_FOR_BYTE

MOST_TASKS = 256
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
        task: The task, with the function of this process.
        function: The function.
        terms: On which terms its values are cached.
        timeout_s: Seconds after which a computation by an async function is cancelled.
    """

    task: WarmingTask
    function: Callable[..., Any]
    terms: CacheOptions
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
        worker.send(*_message(computed, prepared.terms))


def _show_what_was_printed() -> None:
    """Let what a task has printed be seen before its value is: who waits for that may end this process."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # a task may have closed it, or put anything in its place
            stream.flush()


@lru_cache(maxsize=MOST_TASKS)
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
    return _Prepared(task, function, CacheOptions.of_task(task, settings), order["timeout_s"])


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
    """Yield what came of each target, in their order, as soon as it is there."""
    found = (_found(prepared.task, ref) for ref in refs)
    if prepared.task.compute_many_fn is None and len(refs) > 1 and is_async(prepared.function):
        yield from _side_by_side(prepared, list(found))
    elif prepared.task.compute_many_fn is None:
        for target in found:
            yield _one(prepared, target) if isinstance(target, Target) else target
    else:
        yield from _many(prepared, list(found))


def _found(task: WarmingTask, ref: str) -> Target | Computed:
    try:
        target = task.target_of_ref(ref)
        _ = target.cache_key
    except Exception as error:
        return Computed(0.0, error=error)
    return target


def _one(prepared: _Prepared, target: Target) -> Computed:
    began_s = time.monotonic()
    try:
        with uncounted_reads(), computing(target.cache_key):
            value = call(prepared.function, target.arguments, prepared.timeout_s)
    except BaseException as error:
        return Computed(time.monotonic() - began_s, error=error)
    return computed_of(prepared.terms.codec, target.cache_key, time.monotonic() - began_s, value)


def _side_by_side(prepared: _Prepared, found: Sequence[Target | Computed]) -> Iterator[Computed]:
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        tasks = [loop.create_task(_aone(prepared, target)) if isinstance(target, Target) else None for target in found]
        for target, task in zip(found, tasks, strict=True):
            yield runner.get_loop().run_until_complete(task) if task is not None else cast(Computed, target)


async def _aone(prepared: _Prepared, target: Target) -> Computed:
    began_s = time.monotonic()
    try:
        with uncounted_reads(), computing(target.cache_key):
            value = await acall(prepared.function, target.arguments, prepared.timeout_s)
    except Exception as error:
        return Computed(time.monotonic() - began_s, error=error)
    return computed_of(prepared.terms.codec, target.cache_key, time.monotonic() - began_s, value)


def _many(prepared: _Prepared, found: Sequence[Target | Computed]) -> Iterator[Computed]:
    targets = [target for target in found if isinstance(target, Target)]
    began_s = time.monotonic()
    try:
        with uncounted_reads():
            parts = iter(run(computing_many(prepared.task, targets, prepared.timeout_s)))
    except BaseException as error:  # an exit: nothing but this call is ended by it
        parts = iter([Part(None, error, time.monotonic() - began_s)] * len(targets))
    codec = prepared.terms.codec
    for target in found:
        if isinstance(target, Target):
            part = next(parts)
            yield computed_of(codec, target.cache_key, part.duration_s, part.value, part.error)
        else:
            yield target


def _message(computed: Computed, terms: CacheOptions) -> tuple[dict[str, Any], bytes]:
    """Return header and payload of what came of a computation."""
    header: dict[str, Any] = {"duration_s": computed.duration_s}
    if computed.error is not None:
        return header, packed(computed.error, terms.cache_errors)
    number, payload = cast(Encoded, computed.encoded)
    return {**header, "number": int(number), "is_none": computed.is_none}, payload
