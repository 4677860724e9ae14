"""Stampedes: readers in several processes ask for one cold key, and its computations are counted."""

import multiprocessing
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import redis

from contenders.contender import Side
from measuring.reads.crowd import COMPUTE_S, Call, Read, Seat, counter_of, serve

LIMIT_S = 60.0
"""Limit of a round; a contender that takes longer is stopped, and shown as stopped."""

PATIENCE_S = 5.0
"""Limit for the end of the processes."""

HEAD_START_S = 0.5
"""Time for all readers to be ready before a round starts."""


@dataclass
class Stampede:
    """The results of one contender's rounds.

    Args:
        name: The contender.
        side: Its side.
        computations: How many there were, one number per round.
        seconds: When the last reader had its value, one number per round but the first, which opens connections.
        problems: What readers got instead of the value, and how many did.
        is_stopped: Whether a round took too long.
    """

    name: str
    side: Side
    computations: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    problems: Counter[str] = field(default_factory=Counter)
    is_stopped: bool = False

    @property
    def usual_computations(self) -> float:
        return statistics.median(self.computations)

    @property
    def last_s(self) -> float:
        """When the last reader usually had its value."""
        return statistics.median(self.seconds) if self.seconds else LIMIT_S

    @property
    def ratio(self) -> float:
        """The same, in computations' time."""
        return self.last_s / COMPUTE_S

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "side": self.side,
            "computations": self.computations,
            "seconds": [round(seconds, 4) for seconds in self.seconds],
            "last_reader_per_computation": round(self.ratio, 3),
            "problems": dict(self.problems),
            "is_stopped": self.is_stopped,
        }


class Entry(NamedTuple):
    """A contender that takes part."""

    seat: Seat
    side: Side


class Size(NamedTuple):
    """The readers, processes and rounds of a stampede."""

    readers: int
    processes: int
    rounds: int


def stampede(entry: Entry, number: int, size: Size, after_round: Callable[[], None]) -> Stampede:
    """Hold the rounds of one contender.

    Args:
        entry: Who reads.
        number: Makes the keys this contender's own.
        size: How many readers and rounds.
        after_round: Called after each round, to show progress.

    Returns:
        What they brought.
    """
    brought = Stampede(entry.seat.name, entry.side)
    with _crowd(entry.seat, size.processes) as pipes:
        for turn in range(size.rounds + 1):
            call = Call(f"cold-{number}-{turn}-1024", time.monotonic() + HEAD_START_S)
            try:
                passed_s = _round(pipes, call, brought.problems)
            except TimeoutError:
                brought.is_stopped = True
                break
            finally:
                brought.computations.append(_computations(entry.seat.url, call.key))
            if turn > 0:
                brought.seconds.append(passed_s)
            after_round()
    return brought


def _computations(url: str, key: str) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.get(counter_of(key)) or 0)


def _round(pipes: list[Connection], call: Call, problems: Counter[str]) -> float:
    """Return the seconds until the last reader had its value.

    Raises:
        TimeoutError: it took too long.
    """
    for pipe in pipes:
        pipe.send(call)
    reads: list[Read] = [read for pipe in pipes for read in _answer(pipe, call.start_at_s + LIMIT_S)]
    problems.update(read.problem for read in reads if read.problem is not None)
    return max(read.had_at_s for read in reads) - call.start_at_s


@contextmanager
def _crowd(seat: Seat, processes: int) -> Iterator[list[Connection]]:
    """Start the processes, wait until they are ready, and end them in any case."""
    context = multiprocessing.get_context("spawn")
    pipes, running = [], []
    for _ in range(processes):
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(seat, theirs), daemon=True)
        process.start()
        theirs.close()
        pipes.append(ours)
        running.append(process)
    try:
        for pipe in pipes:
            _answer(pipe, time.monotonic() + LIMIT_S)
        yield pipes
    finally:
        _end(pipes, running)


def _end(pipes: list[Connection], running: list[Any]) -> None:
    """Ask the processes to end; those that still wait for a round that took too long are killed."""
    for pipe in pipes:
        with suppress(OSError):
            pipe.send(None)
    deadline_s = time.monotonic() + PATIENCE_S
    for process in running:
        process.join(timeout=max(0.0, deadline_s - time.monotonic()))
        process.kill()


def _answer(pipe: Connection, deadline_s: float) -> Any:
    if not pipe.poll(max(0.0, deadline_s - time.monotonic())):
        raise TimeoutError("no answer from a process of the crowd")
    return pipe.recv()
