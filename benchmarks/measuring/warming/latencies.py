"""Ways to have one value computed by a worker process, timed until the value is found in Redis."""

import random
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

from redis import Redis
from rq import Queue
from rq_scheduler import Scheduler

from contenders.contender import Side
from measuring.limits import TimeLimitError, wait_until
from measuring.store.store_calls import fleet_at, has_claims, is_fleet_ready
from measuring.warming.processes import last_lines, running
from warmer import WarmingTask, register_warming_task, uncounted_reads

RQ, REGISTRATION, BY_HAND, STOCK = "RQ, one job", "registration", "by hand", "rq-scheduler, one job"
SIDES: dict[str, Side] = {RQ: "base", REGISTRATION: "ours", BY_HAND: "ours", STOCK: "rival"}

NAMESPACE, PLAIN_QUEUE = "latency", "plain"
JOB = "measuring.warming.plain_job.compute_and_set"
TASK = WarmingTask(
    task_id="latency", cache_key="latency:key", compute_fn="measuring.warming.plain_job:compute", ttl=3600, priority=10
)

START_LIMIT_S = 60.0
TURN_LIMIT_S = 30.0
LOOK_EVERY_S = 0.0005
MAX_PAUSE_S = 0.1


def register() -> None:
    """Make the worker know the task."""
    register_warming_task(TASK)


def fleet(url: str) -> AbstractContextManager[Path]:
    """Run one scheduler and one worker of each kind; enters with the file that holds what they print."""
    commands = [
        [sys.executable, "-m", "warmer", "scheduler"],
        [sys.executable, "-m", "warmer", "worker", "--import", f"{__name__}:register"],
        [sys.executable, "-m", "rq.cli", "worker", PLAIN_QUEUE, "--url", url, "--quiet"],
        [sys.executable, "-c", "from rq_scheduler.scripts.rqscheduler import main; main()", "--url", url, "-i", "1"],
    ]
    return running(commands, WARMER_REDIS_URL=url, WARMER_NAMESPACE=NAMESPACE)


class Ways(AbstractContextManager["Ways"]):
    """The ways to have a value computed, each timed on its own.

    Args:
        url: The server's address.
        log: What the processes print, for the error if they do not do their work.
    """

    def __init__(self, url: str, log: Path) -> None:
        self._url, self._log = url, log
        self._client = Redis.from_url(url)
        self._queue = Queue(PLAIN_QUEUE, connection=self._client)
        self._scheduler = Scheduler(PLAIN_QUEUE, connection=self._client, interval=1)
        self._warmer = fleet_at(url, NAMESPACE)
        self._numbers = count()
        self._turns = {RQ: self._rq, REGISTRATION: self._registration, BY_HAND: self._by_hand, STOCK: self._stock}

    def __enter__(self) -> "Ways":
        """Wait until the processes work: the worker's own registration has made the entry warm."""
        self._warmer.start()
        ready = lambda: is_fleet_ready(self._warmer) and self._entry()  # noqa: E731
        self._wait(ready, "the scheduler and the worker", START_LIMIT_S)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._warmer.close()
        self._client.close()

    def take_turn(self, name: str) -> float:
        """Return the microseconds from asking until the value is found, in one of the ways."""
        self._wait(lambda: not has_claims(self._warmer), "the worker to be idle")
        time.sleep(random.uniform(0, MAX_PAUSE_S))
        return self._turns[name]()

    # --- the ways ----------------------------------------------------------------------------------------------
    def _rq(self) -> float:
        key = f"plain:{next(self._numbers)}"
        ask = lambda: self._queue.enqueue(JOB, self._url, key, result_ttl=0)  # noqa: E731
        return self._timed(RQ, ask, lambda: self._client.get(key))

    def _stock(self) -> float:
        key = f"stock:{next(self._numbers)}"
        ask = lambda: self._scheduler.enqueue_at(datetime.now(UTC), JOB, self._url, key)  # noqa: E731
        return self._timed(STOCK, ask, lambda: self._client.get(key))

    def _registration(self) -> float:
        self._warmer.unregister(TASK.task_id)
        self._warmer.invalidate(TASK.cache_key)
        return self._timed(REGISTRATION, lambda: self._warmer.register(TASK), self._entry)

    def _by_hand(self) -> float:
        self._warmer.invalidate(TASK.cache_key)
        return self._timed(BY_HAND, lambda: self._warmer.warm(TASK.task_id, force=True), self._entry)

    # --- measuring ---------------------------------------------------------------------------------------------
    def _entry(self) -> Any:
        with uncounted_reads():
            return self._warmer.get(TASK.cache_key)

    def _timed(self, name: str, ask: Callable[[], Any], found: Callable[[], Any]) -> float:
        if found():
            raise SystemExit(f"{name}: the value is there before it was asked for")
        started_s = time.perf_counter()
        ask()
        self._wait(found, f"the value of {name}", TURN_LIMIT_S, LOOK_EVERY_S)
        return 1e6 * (time.perf_counter() - started_s)

    def _wait(
        self, condition: Callable[[], Any], what: str, limit_s: float = TURN_LIMIT_S, every_s: float = 0.005
    ) -> None:
        try:
            wait_until(condition, what, limit_s, every_s)
        except TimeLimitError as error:
            raise TimeLimitError(f"{error}; the processes printed last:\n{last_lines(self._log)}") from None
