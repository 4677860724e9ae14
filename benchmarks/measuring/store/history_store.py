"""Fills servers with histories; measures what these cost: bytes, flushes, reviews; and what a flood of keys does."""

import random
import statistics
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import accumulate
from types import TracebackType
from typing import Any, NamedTuple

from measuring.store.memory import WITHOUT_HISTOGRAMS, bytes_by_key
from measuring.store.store_calls import AT_ONCE, Memory, fleet_at
from measuring.warming.warming_tasks import NO_OP
from warmer.client.warmer import runtime_of
from warmer.processes.private_server import PrivateServer
from warmer.tasks.target import make_ref

NAMESPACE = "histories"

IN_A_FLUSH = 1000
"""Targets in one flush, and in one pass of reviews."""

HOTTEST = 100

PLAIN_KEY = "plain"
PLAIN_SCRIPT = """
for _ = 1, 16 do
    for _, ref in ipairs(ARGV) do
        redis.call('HGET', KEYS[1], ref)
        redis.call('HSET', KEYS[1], ref, 'x')
    end
end
"""
"""Reads and sets a field of each target 16 times, so that it takes about as long as a flush.

Scripts of equal length suffer equally from other load on the machine.
"""
PLAIN_REPEATS = 16

MAX_RANKED = 10_000
"""Targets in the ranking by heat, as by default."""


def ref_of(number: int) -> str:
    return make_ref(NO_OP.task_id, {"number": number})


class Cost(NamedTuple):
    """The cost of one target in a call, in microseconds: in Redis alone, and in all."""

    redis_us: float
    all_us: float


@dataclass
class Timings:
    """Each round's costs of a target.

    Args:
        flushes: Of 1,000 targets that are known already.
        reviews: Of as many.
        plain: Of a script that reads and sets a field of each of as many, 16 times.
    """

    flushes: list[Cost] = field(default_factory=list)
    reviews: list[Cost] = field(default_factory=list)
    plain: list[Cost] = field(default_factory=list)

    @property
    def flush_ratio(self) -> float:
        """Redis' time for a flush divided by that for reading and setting a field: the median over the rounds."""
        pairs = zip(self.flushes, self.plain, strict=True)
        return statistics.median(PLAIN_REPEATS * flush.redis_us / plain.redis_us for flush, plain in pairs)


class Library(AbstractContextManager["Library"]):
    """Read histories of targets, on a private server of its own.

    Args:
        capacity: The maximum number of histories.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.timings = Timings()
        self.server = PrivateServer.start(args=WITHOUT_HISTOGRAMS)
        # Beats far apart: what goes on in the background is not measured.
        bounds = {"history_capacity": capacity, "heat_capacity": min(capacity, MAX_RANKED)}
        self._warmer = fleet_at(self.server.url, NAMESPACE, **bounds, flush_s=60, tick_s=60)
        self.memory = Memory(self._warmer, NO_OP)
        self._plain = self.client.register_script(PLAIN_SCRIPT)
        self._plain(keys=[PLAIN_KEY], args=["loaded"])

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._warmer.close()
        self.server.stop()

    @property
    def client(self) -> Any:
        return runtime_of(self._warmer).store.control

    def bytes_of(self, part: str) -> int:
        """Return the bytes of one part of the data: "history" or "reviews"."""
        return sum(size for key, size in bytes_by_key(self.client, NAMESPACE).items() if key.split(":")[0] == part)

    def all_bytes(self) -> int:
        """Return the bytes of all data."""
        return sum(bytes_by_key(self.client, NAMESPACE).values())

    def fill(self, targets: int, after_chunk: Callable[[], None]) -> None:
        """Have so many targets missed once, and computed by their readers.

        Args:
            targets: How many.
            after_chunk: Called after each 500 of them, to show progress.
        """
        for first in range(0, targets, AT_ONCE):
            refs = [ref_of(number) for number in range(first, min(first + AT_ONCE, targets))]
            self.memory.read(dict.fromkeys(refs, 1), missed=True)
            self.memory.publish(refs)
            after_chunk()

    def take_turn(self, targets: int) -> None:
        """Time one flush, the plain script, and a review, each of as many targets."""
        refs = [ref_of(number) for number in random.sample(range(targets), IN_A_FLUSH)]
        self.timings.flushes.append(self._timed(lambda: self.memory.read(dict.fromkeys(refs, 2))))
        self.timings.plain.append(self._timed(lambda: self._plain(keys=[PLAIN_KEY], args=refs)))
        self.timings.reviews.append(self._timed(lambda: self.memory.review(refs)))

    def _timed(self, action: Callable[[], None]) -> Cost:
        self.client.config_resetstat()
        started_s = time.perf_counter()
        action()
        passed_us = 1e6 * (time.perf_counter() - started_s)
        scripts = self.client.info("commandstats").get("cmdstat_evalsha", {})
        return Cost(scripts.get("usec", 0) / IN_A_FLUSH, passed_us / IN_A_FLUSH)


def median_cost(costs: list[Cost]) -> Cost:
    return Cost(*(statistics.median(column) for column in zip(*costs, strict=True)))


class Flood(NamedTuple):
    """What is left after a flood of keys that are read once.

    Args:
        keys: The number of keys.
        remembered: The number of histories at the end.
        history_bytes: Their bytes.
        grown: All data at the end, as a multiple of the data at half time.
        recall: The part of the 100 most read targets that rank among the hottest 100.
        known: The part of them that have a history.
    """

    keys: int
    remembered: int
    history_bytes: int
    grown: float
    recall: float
    known: float


def flooded(library: Library, keys: int, popular: int, after_chunk: Callable[[], None]) -> Flood:
    """Let hostile readers miss new keys, beside as many reads that follow Zipf's law.

    Args:
        library: The histories.
        keys: The number of hostile keys.
        popular: The number of targets that share the other reads.
        after_chunk: Called after each 1,000 keys.
    """
    draw, weights = random.Random(7), list(accumulate(1 / rank for rank in range(1, popular + 1)))
    read: Counter[int] = Counter()
    early_bytes = 0
    for first in range(0, keys, IN_A_FLUSH):
        drawn = Counter(draw.choices(range(popular), cum_weights=weights, k=IN_A_FLUSH))
        read.update(drawn)
        hostile = [ref_of(popular + number) for number in range(first, first + IN_A_FLUSH)]
        library.memory.read({ref_of(number): times for number, times in drawn.items()})
        library.memory.read(dict.fromkeys(hostile, 1), missed=True)
        library.memory.publish(hostile)
        if first + IN_A_FLUSH >= keys // 2 and not early_bytes:
            early_bytes = library.all_bytes()
        after_chunk()
    hottest = {ref_of(number) for number, _ in read.most_common(HOTTEST)}
    return Flood(
        keys,
        library.memory.remembered(),
        library.bytes_of("history"),
        library.all_bytes() / early_bytes,
        len(hottest & set(library.memory.hottest(HOTTEST))) / HOTTEST,
        sum(map(library.memory.knows, hottest)) / HOTTEST,
    )
