"""The demo: runs a fleet that keeps dashboards warm, users who read them, and a screen that shows both."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import cycle

import orjson
from redis.exceptions import RedisError
from rich.console import Console
from rich.live import Live
from rich.progress import Progress

from warmer import StoreUnavailableError, WaitTimeoutError, Warmer, Warming
from warmer.processes.children import Child, ChildDiedError, Children
from warmer.results import WarmingStats

from . import snapshot
from .demo_redis import demo_warmer
from .flights import FLIGHT_COUNT, build_database, default_path, is_complete
from .interval import Interval
from .measure import WAYS, Experience, Read, Way
from .screen import Picture, line, screen, summary

REDRAW_INTERVAL_S = 0.25
LINE_INTERVAL_S = 5.0
MAX_START_S = 120.0
WORKER_NICENESS = 10
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

REQUEST_INTERVAL_S = 9.0
REQUESTED_TASKS = ("plane_age", "worst_routes", "knock_on_delays")
"""Tasks that are refreshed on demand in turn, as if their data had just been corrected."""


class StartError(Exception):
    """The fleet did not start in time."""


def run(seconds: int, keep: bool, workers: int) -> None:
    """Run the demo; exit with code 1 if it fails.

    Args:
        seconds: How long users read.
        keep: Whether they read until Ctrl-C instead.
        workers: Number of worker processes.
    """
    console = Console(highlight=False)
    try:
        _prepare_flights(console)
        with (
            _stop_signals() as stop,
            demo_warmer(partial(console.print, soft_wrap=True)) as warmer,
            Children() as children,
        ):
            demo = Demo(console, warmer, children, stop)
            if demo.start(workers):
                demo.play(None if keep else seconds)
    except (ChildDiedError, StartError, ModuleNotFoundError, StoreUnavailableError, RedisError) as error:
        Console(stderr=True, highlight=False, markup=False).print(f"warmer demo: {error}", soft_wrap=True)
        sys.exit(1)


class Demo:
    """One run of the demo.

    Args:
        console: Shows the screen.
        warmer: The fleet.
        children: The processes.
        stop: Set by Ctrl-C and SIGTERM.
    """

    def __init__(self, console: Console, warmer: Warmer, children: Children, stop: threading.Event) -> None:
        self._console = console
        self._warmer = warmer
        self._children = children
        self._stop = stop
        self._users: dict[Way, Experience] = {way: Experience() for way in WAYS}
        self._requests: list[Warming] = []
        self._began_s = 0.0

    def start(self, workers: int) -> bool:
        """Start the fleet and warm all dashboards before the first read; return False if stopped."""
        self._children.start("the scheduler", "warmer", "scheduler", quiet=True)
        for number in range(1, workers + 1):
            worker = self._children.start(
                f"worker {number}", "warmer", "worker", "--import", "warmer_demo.tasks", quiet=True
            )
            # On a shared machine users have priority; in production workers run on other machines.
            os.setpriority(os.PRIO_PROCESS, worker.process.pid, WORKER_NICENESS)
        if not self._wait_for(lambda stats: stats.scheduler_alive and stats.workers >= workers):
            return False
        self._warmer.start()
        began_s = time.monotonic()
        critical = self._warmer.warm_critical_data(timeout_s=MAX_START_S)
        if not self._wait_for(lambda stats: all(task.run_count for task in stats.task_details)):
            return False
        self._console.print(
            f"{workers} workers are up; before the first read, {critical.total} critical dashboards were warm within "
            f"{critical.total_duration_ms / 1000:.1f} s and all others within {time.monotonic() - began_s:.1f} s",
            soft_wrap=True,
        )
        return True

    def play(self, seconds: int | None) -> None:
        """Let users read for this long, or until stopped, and show the screen; then print the summary."""
        readers = self._children.start(
            "the readers' process", "warmer_demo.readers", quiet=True, stdout=subprocess.PIPE
        )
        collector = threading.Thread(target=self._collect, args=(readers,), daemon=True)
        collector.start()
        self._began_s = time.monotonic()
        self._show(seconds)
        self._children.end(readers)
        collector.join()
        self._sum_up()

    def _wait_for(self, condition: Callable[[WarmingStats], bool]) -> bool:
        """Wait until the fleet fulfils a condition; return False if stopped."""
        deadline_s = time.monotonic() + MAX_START_S
        while not self._stop.wait(0.1):
            self._children.check()
            if condition(self._warmer.stats()):
                return True
            if time.monotonic() > deadline_s:
                raise StartError(f"the fleet did not start within {MAX_START_S:.0f} s")
        return False

    def _collect(self, readers: Child) -> None:
        for batch in readers.output():
            for record in orjson.loads(batch):
                read = Read(**record)
                self._users[read.way].add(read)

    def _show(self, seconds: int | None) -> None:
        request, task_ids = Interval(REQUEST_INTERVAL_S), cycle(REQUESTED_TASKS)
        with self._drawing(seconds) as draw:
            while not self._stop.wait(REDRAW_INTERVAL_S) and (seconds is None or self._elapsed_s() < seconds):
                self._children.check()
                if request.is_due():
                    self._requests.append(self._warmer.warm(next(task_ids), force=True))
                draw()

    @contextmanager
    def _drawing(self, seconds: int | None) -> Iterator[Callable[[], None]]:
        if not self._console.is_terminal:
            next_line = Interval(LINE_INTERVAL_S)
            yield lambda: self._console.print(line(self._picture()), soft_wrap=True) if next_line.is_due() else None
            return
        until = "until Ctrl-C" if seconds is None else f"of {seconds} s"
        with Live(console=self._console, auto_refresh=False) as live:
            yield lambda: live.update(screen(self._picture(), until), refresh=True)

    def _sum_up(self) -> None:
        picture = self._picture()
        if not picture.users["with"].latencies.reads:
            return  # it ended before the first read
        performance = picture.snapshot.stats.performance
        self._console.print(summary(picture))
        self._console.print(
            f"{performance.efficiency_score:.0f} % of {performance.judged} judged refreshes were used; "
            f"{performance.failed} computations failed"
        )

    def _picture(self) -> Picture:
        self._requests = [request for request in self._requests if _is_pending(request)]
        requested = {request.ref for request in self._requests}
        return Picture(self._elapsed_s(), snapshot.take(self._warmer, requested), self._users)

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began_s


def _is_pending(request: Warming) -> bool:
    try:
        request.wait(timeout_s=0)
    except WaitTimeoutError:
        return True
    return False


def _prepare_flights(console: Console) -> None:
    """Build the database at the first run."""
    path = default_path()
    if not is_complete(path):
        with Progress(console=console) as progress:
            task = progress.add_task(f"reading {FLIGHT_COUNT:,} flights", total=FLIGHT_COUNT)
            build_database(path, lambda done, total: progress.update(task, completed=done, total=total))
    console.print(f"{FLIGHT_COUNT:,} flights in {path}", soft_wrap=True)


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C and SIGTERM set, so that everything stops gracefully."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda signum, frame: stop.set()) for number in STOP_SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
