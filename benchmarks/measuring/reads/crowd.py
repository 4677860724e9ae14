"""One process's share of a crowd: readers that all ask for the same cold key at the same moment."""

import asyncio
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import redis
import redis.asyncio

import warmer
from contenders import ASYNC_LIBRARIES, SYNC_LIBRARIES
from contenders.contender import Compute, Contender, gather, roomy
from measuring.reads.values import expected

COMPUTE_S = 0.2


class Seat(NamedTuple):
    """The contender and the number of readers of one process."""

    is_async: bool
    library: str
    name: str
    url: str
    readers: int


class Call(NamedTuple):
    """The order to read: what, and when on the monotonic clock, which all processes of a machine share."""

    key: str
    start_at_s: float


class Read(NamedTuple):
    """When a reader had its value, and what went wrong, if anything did."""

    had_at_s: float
    problem: str | None


def counter_of(key: str) -> str:
    """Return the key in Redis that counts the computations of a key."""
    return f"computations:{key}"


def serve(seat: Seat, pipe: Connection) -> None:
    """Read at each call that comes through the pipe, until it brings None."""
    warmer.configure(redis_url=seat.url)
    if seat.is_async:
        asyncio.run(_serve_async(seat, pipe))
    else:
        _serve_sync(seat, pipe)
    warmer.default_warmer().close()


# --- on threads ------------------------------------------------------------------------------------------------
def _serve_sync(seat: Seat, pipe: Connection) -> None:
    contender = _contender_of(seat, _counted_compute(seat.url))
    with ThreadPoolExecutor(seat.readers) as threads:
        pipe.send("ready")
        for call in _calls(pipe):
            reads = [threads.submit(_read, contender, call) for _ in range(seat.readers)]
            pipe.send([read.result() for read in reads])


def _read(contender: Contender, call: Call) -> Read:
    time.sleep(max(0.0, call.start_at_s - time.monotonic()))
    try:
        problem = _problem(contender.ask(call.key), call.key)
    except Exception as error:
        problem = type(error).__name__
    return Read(time.monotonic(), problem)


def _counted_compute(url: str) -> Compute:
    client = redis.Redis.from_url(roomy(url))

    def compute(key: str) -> Any:
        client.incr(counter_of(key))
        time.sleep(COMPUTE_S)
        return expected(key)

    return compute


# --- on an event loop ------------------------------------------------------------------------------------------
async def _serve_async(seat: Seat, pipe: Connection) -> None:
    contender = _contender_of(seat, _counted_async_compute(seat.url))
    pipe.send("ready")
    while (call := await asyncio.to_thread(pipe.recv)) is not None:
        pipe.send(await asyncio.gather(*(_async_read(contender, call) for _ in range(seat.readers))))


async def _async_read(contender: Contender, call: Call) -> Read:
    await asyncio.sleep(call.start_at_s - time.monotonic())
    try:
        problem = _problem(await contender.ask(call.key), call.key)
    except Exception as error:
        problem = type(error).__name__
    return Read(time.monotonic(), problem)


def _counted_async_compute(url: str) -> Compute:
    client = redis.asyncio.Redis.from_url(roomy(url))

    async def compute(key: str) -> Any:
        await client.incr(counter_of(key))
        await asyncio.sleep(COMPUTE_S)
        return expected(key)

    return compute


# --- both ------------------------------------------------------------------------------------------------------
def _contender_of(seat: Seat, compute: Compute) -> Contender:
    libraries = ASYNC_LIBRARIES if seat.is_async else SYNC_LIBRARIES
    contenders = gather({seat.library: libraries[seat.library]}, seat.url, compute).contenders
    return next(contender for contender in contenders if contender.name == seat.name)


def _calls(pipe: Connection) -> Iterable[Call]:
    return iter(pipe.recv, None)


def _problem(value: Any, key: str) -> str | None:
    return None if value == expected(key) else f"got {str(value)[:20]!r}"
