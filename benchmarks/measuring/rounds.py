"""Measures contenders in interleaved rounds, so that a drift of the machine hits all of them alike.

In each round every contender runs once, in a shuffled order. The first round opens connections and does not
count. What a library does in the background (ours sends its counts once a second) hits all contenders alike.
"""

import asyncio
import gc
import inspect
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from contenders.contender import Contender
from measuring.figures import Samples
from measuring.screen import steps

Run = Callable[[], Any]
"""Reads a number of times; returns an awaitable if its contender is asynchronous."""


async def timed(what: str, runs: Mapping[str, Run], rounds: int, reads: int) -> Samples:
    """Return for each run the microseconds per read, one per round.

    Args:
        what: Shown beside the progress.
        runs: What to time, by name.
        rounds: How many rounds count.
        reads: How many reads each run does.
    """
    samples: dict[str, list[float]] = {name: [] for name in runs}
    gc.freeze()  # what stands by now is not looked through again
    with steps(what, rounds + 1) as advance:
        for number in range(rounds + 1):
            for name in random.sample(list(runs), len(runs)):
                gc.collect()
                passed_us = await _timed(runs[name], reads)
                if number > 0:
                    samples[name].append(passed_us)
            advance()
    return samples


async def _timed(run: Run, reads: int) -> float:
    started = time.perf_counter()
    await settled(run())
    return 1e6 * (time.perf_counter() - started) / reads


def hits(contender: Contender, keys: Sequence[str]) -> Run:
    """Return a run of one read after the other, on the calling thread."""

    def run() -> None:
        read = contender.read
        with contender.around():
            for key in keys:
                read(key)

    return run


def async_hits(contender: Contender, keys: Sequence[str]) -> Callable[[], Awaitable[None]]:
    """Return a run of one read after the other, on an event loop."""

    async def run() -> None:
        read = contender.read
        with contender.around():
            for key in keys:
                await read(key)

    return run


def crowded_hits(contender: Contender, keys: Sequence[str], reads: int) -> Callable[[], Awaitable[None]]:
    """Return a run of as many readers at once as there are keys; each reads so many, and no two the same at a time."""
    readers = [async_hits(contender, [*keys[first:], *keys[:first]][:reads]) for first in range(len(keys))]

    async def run_all() -> None:
        await asyncio.gather(*(read() for read in readers))

    return run_all


async def settled(value: Any) -> Any:
    """Return a value, or what it becomes if it has to be awaited."""
    return await value if inspect.isawaitable(value) else value
