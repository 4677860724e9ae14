"""From registration to a warm entry, on an idle system: p50 and p99, beside the same value set by plain RQ.

Four ways to have a value computed by a worker process and found in Redis, measured in turns in one run:

- warmer: `register_warming_task`, until the entry can be read (claim, lease, compute, publish, complete);
- warm: `Warmer.warm` of a registered task, forced;
- RQ: one job for one key on RQ's own forking worker, which computes and SETs (= 1.0);
- rq-scheduler: the same job scheduled for now, with the shortest interval stock rq-scheduler allows (1 s).

Run: python benchmarks/warm_latency.py [--samples 100]
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from redis import Redis
from rich.console import Console
from rich.progress import track
from rich.table import Table

from warmer import Settings, Warmer, WarmingTask
from warmer.client.warmer import runtime_of
from warmer.processes.private_server import PrivateServer

HERE = Path(__file__).parent
SCHEDULER_SAMPLES = 10  # each waits for a tick of a second
JOB = "measuring.warming.plain_job.compute_and_set"


TASK = WarmingTask(
    task_id="latency", cache_key="latency:key", compute_fn="measuring.warming.plain_job:compute", ttl=3600, priority=10
)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=100)
    samples = parser.parse_args().samples
    with PrivateServer.start() as server, processes(server.url):
        warmer = Warmer(Settings.load(redis_url=server.url))
        warmer.start()
        wait_until_idle(warmer)
        measured = measure(server.url, warmer, samples)
        print_table(server, measured)
        warmer.close()


@contextlib.contextmanager
def processes(url: str) -> Iterator[None]:
    """One scheduler and one worker of each kind."""
    environment = {**os.environ, "WARMER_REDIS_URL": url, "PYTHONPATH": str(HERE), "PYTHONWARNINGS": "ignore"}
    commands = [
        [sys.executable, "-m", "warmer", "scheduler"],
        [sys.executable, "-m", "warmer", "worker", "--import", "warm_latency:register"],
        [sys.executable, "-m", "rq.cli", "worker", "plain", "--url", url, "--quiet"],
        [sys.executable, "-c", "from rq_scheduler.scripts.rqscheduler import main; main()", "--url", url, "-i", "1"],
    ]
    running = [subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) for command in commands]
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def register() -> None:
    """Make the worker know the task."""
    from warmer import register_warming_task

    register_warming_task(TASK)


def wait_until_idle(warmer: Warmer) -> None:
    """Wait until scheduler and worker live, and have had their first turn."""
    while not (
        runtime_of(warmer).store.fleet.has_leader()
        and runtime_of(warmer).store.fleet.live_workers()
        and warmer.get("latency:key")
    ):
        time.sleep(0.05)


def measure(url: str, warmer: Warmer, samples: int) -> dict[str, list[float]]:
    """Return milliseconds by way; the ways take turns, so that the machine's moods hit all of them."""
    from rq import Queue
    from rq_scheduler import Scheduler

    client = Redis.from_url(url)
    queue = Queue("plain", connection=client)
    stock = Scheduler("plain", connection=client, interval=1)
    measured: dict[str, list[float]] = {"RQ": [], "warmer": [], "warm": [], "rq-scheduler": []}
    for number in track(range(samples), description="measuring", console=Console(stderr=True)):
        key = f"plain:{number}"
        plain = lambda key=key: client.get(key)  # noqa: E731
        measured["RQ"].append(
            timed(
                lambda key=key: queue.enqueue(JOB, url, key, result_ttl=0),
                plain,
            )
        )

        warmer.unregister(TASK.task_id)
        warmer.invalidate(TASK.cache_key)
        ours = lambda: runtime_of(warmer).store.entries.read(TASK.cache_key)  # noqa: E731
        measured["warmer"].append(timed(lambda: warmer.register(TASK), ours))
        settle(warmer)

        warmer.invalidate(TASK.cache_key)
        measured["warm"].append(timed(lambda: warmer.warm(TASK.task_id, force=True), ours))
        settle(warmer)

        if number < SCHEDULER_SAMPLES:
            key = f"stock:{number}"
            ask = lambda key=key: stock.enqueue_at(datetime.now(UTC), JOB, url, key)  # noqa: E731
            measured["rq-scheduler"].append(timed(ask, lambda key=key: client.get(key)))
    return measured


def timed(ask: Callable[[], Any], found: Callable[[], Any]) -> float:
    """Return the milliseconds from asking until the value is found."""
    started = time.perf_counter()
    ask()
    while not found():
        time.sleep(0.0005)
    return 1000 * (time.perf_counter() - started)


def settle(warmer: Warmer) -> None:
    """Wait until the drain has ended, so that the next sample meets an idle system again."""
    while (
        runtime_of(warmer).store.control.zcard(runtime_of(warmer).store.keys.claims)
        or runtime_of(warmer).queue.rq.started_job_registry.count
    ):
        time.sleep(0.002)


def print_table(server: PrivateServer, measured: dict[str, list[float]]) -> None:
    """Print what was measured in this run."""
    table = Table(
        "way", "samples", "p50 ms", "p99 ms", "p50 / RQ's", title=f"asked to found, idle, {server.binary.name}"
    )
    base = statistics.median(measured["RQ"])
    for way, milliseconds in measured.items():
        p99 = statistics.quantiles(milliseconds, n=100, method="inclusive")[98]
        p50 = statistics.median(milliseconds)
        table.add_row(way, str(len(milliseconds)), f"{p50:.1f}", f"{p99:.1f}", f"{p50 / base:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
