"""Measures reads, on the calling thread and on an event loop."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple

from contenders import ASYNC_LIBRARIES, SYNC_LIBRARIES
from contenders.contender import Compute, Contender, Make, gather
from measuring.figures import figures_of
from measuring.reads.misses import Watched
from measuring.reads.report import Comparison, Report
from measuring.reads.round_trips import CountingProxy
from measuring.reads.values import (
    AT_ONCE,
    CROWD,
    MANY,
    MANY_KEYS,
    MISSES,
    READS,
    READS_IN_CROWD,
    USUAL_SIZE,
    Source,
    check,
    expected,
    hit_of,
    keys_of,
    over_and_over,
)
from measuring.rounds import Run, async_hits, crowded_hits, hits, settled, timed

MIN_ROUNDS = 8
"""A median of fewer rounds moves too much with the machine's load."""


class Kind(NamedTuple):
    """Reads on the calling thread, or on an event loop."""

    name: str
    libraries: Mapping[str, Make]
    compute_of: Callable[[Source | Watched], Compute]
    hits: Callable[[Contender, Sequence[str]], Run]


SYNC = Kind("sync", SYNC_LIBRARIES, lambda source: source.compute, hits)
ASYNC = Kind("async", ASYNC_LIBRARIES, lambda source: source.async_compute, async_hits)


class Reads:
    """Measures the reads of one kind into a report.

    Args:
        kind: Which kind.
        url: The server's address.
        rounds: How many rounds count; a quarter of it where each round takes long.
        report: Where the figures go.
    """

    def __init__(self, kind: Kind, url: str, rounds: int, report: Report) -> None:
        self._kind = kind
        self._rounds = rounds
        self._report = report
        self._source = Source()
        self._contenders, absent = gather(kind.libraries, url, kind.compute_of(self._source))
        report.absent.update(absent)

    async def measure_hits(self) -> None:
        """Time hits of every size, one after the other."""
        for size, reads in READS.items():
            keys = await self._filled(keys_of(self._kind.name, size))
            in_turn = over_and_over(keys, reads)
            runs = {contender.name: self._kind.hits(contender, in_turn) for contender in self._contenders}
            await self._time(hit_of(size), runs, reads, self._rounds)

    async def measure_many(self) -> None:
        """Time many keys at once."""
        able = [contender for contender in self._contenders if contender.many]
        keys = keys_of("many", USUAL_SIZE, MANY_KEYS)
        await self._fill(able, keys)
        for name, read in (contender.many for contender in able):
            check(name, await settled(read(keys)), keys)
        runs = {name: lambda read=read: read(keys) for name, read in (contender.many for contender in able)}
        await self._time(MANY, runs, 1, max(MIN_ROUNDS, self._rounds // 4))

    async def measure_crowd(self) -> None:
        """Time hits of many readers at once; for an event loop only."""
        keys = await self._filled(keys_of("crowd", USUAL_SIZE, CROWD))
        runs = {contender.name: crowded_hits(contender, keys, READS_IN_CROWD) for contender in self._contenders}
        await self._time(AT_ONCE, runs, CROWD * READS_IN_CROWD, self._rounds // 4)

    async def _filled(self, keys: list[str]) -> list[str]:
        """Let every contender cache these keys, and check that it returns what was cached."""
        await self._fill(self._contenders, keys)
        for contender in self._contenders:
            check(contender.name, [await settled(contender.read(key)) for key in keys], keys)
        return keys

    async def _fill(self, contenders: Sequence[Contender], keys: Sequence[str]) -> None:
        with self._source.open():
            for contender in contenders:
                for key in keys:
                    await settled(contender.ask(key))

    async def _time(self, work: str, runs: Mapping[str, Run], reads: int, rounds: int) -> None:
        samples = await timed(f"{self._kind.name}, {work}", runs, rounds, reads)
        sides = {name: contender.side for contender in self._contenders for name in contender.names}
        figures = figures_of(samples, {name: sides[name] for name in samples})
        self._report.comparisons.append(Comparison(self._kind.name, work, figures))


async def count_misses(kind: Kind, proxy: CountingProxy, report: Report) -> None:
    """Count the round trips of misses through a proxy."""
    watched = Watched(proxy, expected(f"miss-{USUAL_SIZE}"))
    contenders = gather(kind.libraries, proxy.url, kind.compute_of(watched)).contenders
    for number, contender in enumerate(contenders):
        if contender.has_misses:
            keys = keys_of(f"{kind.name}-miss-{number}", USUAL_SIZE, MISSES)
            report.misses.append(await watched.count(contender, keys))


def run_without_loop(measuring: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never waits for anything: the calling thread's reads meet no event loop.

    Raises:
        RuntimeError: it waits after all.
    """
    try:
        measuring.send(None)
    except StopIteration:
        return
    measuring.close()
    raise RuntimeError("a contender on the calling thread waited for an event loop")
