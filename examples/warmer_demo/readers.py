"""Simulated users: each opens one dashboard after another, with warming and without.

Runs as a separate process, `python -m warmer_demo.readers`, so that drawing the screen does not affect the latencies.
It writes its measurements to standard output as lines of JSON until SIGTERM.
"""

from __future__ import annotations

import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import orjson
from redis import Redis

from warmer import WarmingTask, default_warmer, get_or_compute

from .measure import WAYS, Read, Way
from .popularity import pick
from .queries import QUERIES
from .tasks import FRONT_PAGE, REPORTS

USERS = 4
READS_PER_S = 100  # of all users together, without waiting
REPORT_EVERY_S = 0.25
PLAIN_PREFIX = "without-warming"

FRONT_PAGE_IDS = [task.task_id for task in FRONT_PAGE]
REPORT_IDS = [task.task_id for task in REPORTS]
TASKS = {task.task_id: task for task in FRONT_PAGE + REPORTS}


class GetOrCompute(Protocol):
    """The common signature of both ways to read."""

    def __call__(self, key: str, query: Callable[[], Any], ttl: float, /) -> Any: ...


class PlainCache:
    """The baseline: cache-aside on the same Redis, with the same ttl and format."""

    def __init__(self, url: str, prefix: str) -> None:
        self._redis: Any = Redis.from_url(url, protocol=2)
        self._prefix = prefix

    def get_or_compute(self, key: str, query: Callable[[], Any], ttl: float, /) -> Any:
        cached = self._redis.get(self._prefix + key)
        if cached is not None:
            return orjson.loads(cached)
        value = query()
        self._redis.set(self._prefix + key, orjson.dumps(value), px=round(1000 * ttl))
        return value


class User:
    """Reads popular dashboards at random moments.

    The comparison is fair: both ways read the same dashboard at the same moment from the same process, and take turns
    in being first. A waiting user opens nothing else, so a stampede is never larger than the number of users. On one
    small machine the two ways compete for processor time: mostly the computations of users without warming slow down
    the users with it.

    Args:
        ways: The function that reads, for each way.
        report: Queue of finished reads.
        seed: Of the random numbers of this user.
    """

    def __init__(self, ways: dict[Way, GetOrCompute], report: SimpleQueue[Read], seed: int) -> None:
        self._ways = ways
        self._report = report
        self._rng = random.Random(seed)

    def read_until(self, stop: threading.Event) -> None:
        began_s = time.monotonic()
        order: Sequence[Way] = WAYS
        while not stop.wait(self._rng.expovariate(READS_PER_S / USERS)):
            task = TASKS[pick(FRONT_PAGE_IDS, REPORT_IDS, time.monotonic() - began_s, self._rng)]
            for way in order:
                self._report.put(self._read(way, task))
            order = order[::-1]

    def _read(self, way: Way, task: WarmingTask) -> Read:
        computed = False

        def query() -> Any:
            nonlocal computed
            computed = True
            return QUERIES[task.task_id]()

        began_s = time.perf_counter()
        self._ways[way](task.cache_key, query, task.ttl)
        return Read(way, 1000 * (time.perf_counter() - began_s), computed)


def main() -> None:
    """Read until SIGTERM, and report all reads."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda signum, frame: stop.set())
    settings = default_warmer().settings
    url = settings.cache_url or settings.required_redis_url()
    plain = PlainCache(url, f"{settings.namespace}:{PLAIN_PREFIX}:")
    ways: dict[Way, GetOrCompute] = {"with": get_or_compute, "without": plain.get_or_compute}
    report: SimpleQueue[Read] = SimpleQueue()
    users = [User(ways, report, seed) for seed in range(USERS)]
    threads = [threading.Thread(target=user.read_until, args=(stop,), daemon=True) for user in users]
    for thread in threads:
        thread.start()
    while all(thread.is_alive() for thread in threads):
        time.sleep(REPORT_EVERY_S)
        _write(_drain(report))
    was_stopped = stop.is_set()
    stop.set()  # if one user fails, the demo ends: its figures would be incomplete
    for thread in threads:
        thread.join()
    _write(_drain(report))
    default_warmer().close()  # sends the last counted reads
    if not was_stopped:
        sys.exit(1)


def _drain(report: SimpleQueue[Read]) -> list[Read]:
    reads = []
    while True:
        try:
            reads.append(report.get_nowait())
        except Empty:
            return reads


def _write(reads: Sequence[Read]) -> None:
    sys.stdout.buffer.write(orjson.dumps(reads) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
