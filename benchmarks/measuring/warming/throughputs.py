"""Ways to have many keys warmed, by worker processes of warmer and of RQ and by bare SETs, timed for each key."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import orjson
from redis import Redis
from rq import Queue

from contenders.contender import Side
from measuring.limits import TimeLimitError
from measuring.pace import Look, pace_per_s
from measuring.store.store_calls import ask_for, call_workers, failed_so_far, fleet_at, warmed_so_far
from measuring.warming.processes import FOLDER, environment_of, last_lines, running
from measuring.warming.rq_jobs import key_of
from measuring.warming.warming_tasks import TTL_S, value_of, wait
from warmer import Warmer, WarmingTask

LOOK_EVERY_S = 0.025
PATIENCE_S = 30.0
"""The run ends with an error if the workers make no progress for so long."""

RQ_LIMIT_S = 120.0
AT_ONCE = 500
CHECKED = 100

IMPORT = "measuring.warming.warming_tasks:register"


class Setting(NamedTuple):
    """The number of worker processes, and the concurrency of each."""

    workers: int
    concurrency: int


@dataclass(frozen=True, slots=True)
class Way:
    """A way to have many keys warmed.

    Args:
        name: What its row is called.
        side: Whether it is the baseline, ours, a rival's or the floor.
        keys: How many it warms in one round; slow ones warm fewer.
        seconds: Warms so many keys, on a server at that address that holds nothing else, and returns how long that
            took.
        ceiling_per_s: More cannot be warmed per second, because of how long each computation takes.
    """

    name: str
    side: Side
    keys: int
    seconds: Callable[[str, int], float]
    ceiling_per_s: float | None = None

    def us_per_key(self, url: str) -> float:
        """Warm once, and return the microseconds for a key."""
        with Redis.from_url(url) as client:
            client.flushall()
        return 1e6 * self.seconds(url, self.keys) / self.keys


# --- the floor -------------------------------------------------------------------------------------------------
def bare_sets(url: str, keys: int) -> float:
    """Set the values by bare pipelines: nothing is computed, and nothing is asked for."""
    values = [(key_of(number), orjson.dumps(value_of(number))) for number in range(keys)]
    with Redis.from_url(url) as client:
        client.ping()
        started = time.perf_counter()
        for first in range(0, keys, AT_ONCE):
            pipeline = client.pipeline(transaction=False)
            for key, value in values[first : first + AT_ONCE]:
                pipeline.set(key, value, ex=TTL_S)
            pipeline.execute()
        return time.perf_counter() - started


def bare_waits(threads: int) -> Callable[[str, int], float]:
    """Return a way that only waits, on so many threads of this process: the most that threads can do."""

    def seconds(url: str, keys: int) -> float:
        with ThreadPoolExecutor(threads) as pool:
            started = time.perf_counter()
            for _ in pool.map(wait, range(keys)):
                pass
            return time.perf_counter() - started

    return seconds


# --- RQ: one job for each key ----------------------------------------------------------------------------------
def one_job_per_key(worker: str, job: str) -> Callable[[str, int], float]:
    """Return a way that has a worker of RQ work off a queue that was filled before.

    Args:
        worker: "SimpleWorker" or "Worker", which forks for each job.
        job: The job's path.
    """

    def seconds(url: str, keys: int) -> float:
        with Redis.from_url(url) as client:
            queue = Queue("plain", connection=client)
            for first in range(0, keys, AT_ONCE):
                numbers = range(first, min(first + AT_ONCE, keys))
                queue.enqueue_many([Queue.prepare_data(job, args=(number,), result_ttl=0) for number in numbers])
            passed_s = float(_said_by("measuring.warming.rq_burst", worker, url, queue.name))
            found = client.exists(*map(key_of, range(keys)))
        if found != keys:
            raise SystemExit(f"RQ's {worker} was given {keys} jobs, and {found} values were found")
        return passed_s

    return seconds


def _said_by(module: str, *arguments: str) -> str:
    command = [sys.executable, "-m", module, *arguments]
    try:
        return subprocess.run(
            command, env=environment_of(), cwd=FOLDER, capture_output=True, text=True, check=True, timeout=RQ_LIMIT_S
        ).stdout
    except subprocess.TimeoutExpired:
        raise TimeLimitError(f"RQ's worker did not end within {RQ_LIMIT_S:g} s") from None


# --- ours ------------------------------------------------------------------------------------------------------
def workers_warming(task: WarmingTask, setting: Setting) -> Callable[[str, int], float]:
    """Return a way that has worker processes warm what was asked for before they started.

    Args:
        task: What is warmed.
        setting: By how many processes, and how concurrently.
    """
    namespace = f"{task.task_id}-{setting.workers}-{setting.concurrency}"

    def seconds(url: str, keys: int) -> float:
        with closing(fleet_at(url, namespace)) as warmer:
            warmer.start()
            warmer.register(task)
            ask_for(warmer, [task.target(number=number).ref for number in range(keys)])
            call_workers(warmer, setting.workers)
            commands = [_worker(setting)] * setting.workers
            with running(commands, WARMER_REDIS_URL=url, WARMER_NAMESPACE=namespace) as log:
                pace = pace_per_s(list(_looks(warmer, keys, log)))
            _check(warmer, task, keys)
        return keys / pace

    return seconds


def _worker(setting: Setting) -> list[str]:
    return [sys.executable, "-m", "warmer", "worker", "--import", IMPORT, "--concurrency", str(setting.concurrency)]


def _looks(warmer: Warmer, keys: int, log: Path) -> Iterator[Look]:
    """Look at the fleet's counter until all is warmed.

    Raises:
        TimeLimitError: Nothing has happened for long.
    """
    seen = Look(time.monotonic(), 0)
    while seen.count < keys:
        time.sleep(LOOK_EVERY_S)
        look = Look(time.monotonic(), warmed_so_far(warmer))
        yield look
        if look.count > seen.count:
            seen = look
        elif look.at_s > seen.at_s + PATIENCE_S:
            said = last_lines(log)
            raise TimeLimitError(f"{look.count} of {keys} were warmed, and then none for {PATIENCE_S:.0f} s:\n{said}")


def _check(warmer: Warmer, task: WarmingTask, keys: int) -> None:
    """Refuse a measurement of warmings that have not left the values behind, once each.

    Raises:
        SystemExit: it is one.
    """
    numbers = range(0, keys, max(1, keys // CHECKED))
    found = [warmer.get(task.target(number=number).cache_key) for number in numbers]
    if found != [value_of(number) for number in numbers]:
        raise SystemExit(f"{task.task_id}: not all of the values that were warmed are in the cache")
    counted, failed = warmed_so_far(warmer), failed_so_far(warmer)
    if counted != keys or failed:
        raise SystemExit(f"{task.task_id}: {keys} were asked for, {counted} warmed and {failed} failed")
