"""Runs the demo: a fleet that keeps dashboards warm, users who read them, and a screen that shows both."""

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

from warmer import StoreUnavailableError, Warmer
from warmer.processes.children import Child, ChildDiedError, Children
from warmer.results import WarmingStats

from . import snapshot
from .flights import FLIGHT_COUNT, build_database, default_path, is_complete
from .measure import WAYS, Experience, Read, Way
from .pace import Every
from .place import redis_place
from .screen import Picture, line, screen, summary

LOOK_EVERY_S = 0.25
LINE_EVERY_S = 5.0
START_LIMIT_S = 30.0
WORKER_NICENESS = 10
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

REQUEST_EVERY_S = 9.0
REQUESTED = ("plane_age", "worst_routes", "knock_on_delays")
"""What somebody asks for by hand from time to time, as if its data had just been corrected."""


class StartError(Exception):
    """The fleet did not come up."""


def run(seconds: int, keep: bool, workers: int) -> None:
    """Run the demo in this process; exits with 1 if it breaks down.

    Args:
        seconds: How long users read.
        keep: Whether they read on until Ctrl-C.
        workers: How many worker processes there are.
    """
    console = Console(highlight=False)
    try:
        _prepare_flights(console)
        with (
            _stop_signals() as stop,
            redis_place(partial(console.print, soft_wrap=True)) as warmer,
            Children() as children,
        ):
            show = Show(console, warmer, children, stop)
            if show.bring_up(workers):
                show.play(None if keep else seconds)
    except (ChildDiedError, StartError, ModuleNotFoundError, StoreUnavailableError, RedisError) as error:
        Console(stderr=True, highlight=False, markup=False).print(f"warmer demo: {error}", soft_wrap=True)
        sys.exit(1)


class Show:
    """One performance.

    Args:
        console: Where to draw.
        warmer: Looks at the fleet.
        children: The processes.
        stop: Set when people want it to end.
    """

    def __init__(self, console: Console, warmer: Warmer, children: Children, stop: threading.Event) -> None:
        self._console = console
        self._warmer = warmer
        self._children = children
        self._stop = stop
        self._users: dict[Way, Experience] = {way: Experience() for way in WAYS}
        self._began_s = 0.0

    def bring_up(self, workers: int) -> bool:
        """Start the fleet and warm all dashboards, before the first user comes; False if told to stop."""
        self._children.start("the scheduler", "warmer", "scheduler", quiet=True)
        for number in range(1, workers + 1):
            worker = self._children.start(
                f"worker {number}", "warmer", "worker", "--import", "warmer_demo.tasks", quiet=True
            )
            # Users come first on a machine that both share; in production workers have machines of their own.
            os.setpriority(os.PRIO_PROCESS, worker.process.pid, WORKER_NICENESS)
        if not self._comes_true(lambda stats: stats.scheduler_alive and stats.workers >= workers):
            return False
        self._warmer.start()
        began_s = time.monotonic()
        critical = self._warmer.warm_critical_data(timeout_s=START_LIMIT_S)
        if not self._comes_true(lambda stats: all(task.run_count for task in stats.task_details)):
            return False
        self._console.print(
            f"{workers} workers are up; before the first user, {critical.total} critical dashboards were warm within "
            f"{critical.total_duration_ms / 1000:.1f} s and all others within {time.monotonic() - began_s:.1f} s",
            soft_wrap=True,
        )
        return True

    def play(self, seconds: int | None) -> None:
        """Let users read for this long, or until told to stop, and draw; then sum up."""
        readers = self._children.start(
            "the readers' process", "warmer_demo.readers", quiet=True, stdout=subprocess.PIPE
        )
        taking_in = threading.Thread(target=self._take_in, args=(readers,), daemon=True)
        taking_in.start()
        self._began_s = time.monotonic()
        self._watch(seconds)
        self._children.end(readers)
        taking_in.join()
        self._sum_up()

    def _comes_true(self, condition: Callable[[WarmingStats], bool]) -> bool:
        """Wait for the fleet; False if told to stop."""
        deadline_s = time.monotonic() + START_LIMIT_S
        while not self._stop.wait(0.1):
            self._children.check()
            if condition(self._warmer.stats()):
                return True
            if time.monotonic() > deadline_s:
                raise StartError(f"the fleet did not come up within {START_LIMIT_S:.0f} s")
        return False

    def _take_in(self, readers: Child) -> None:
        for batch in readers.output():
            for record in orjson.loads(batch):
                read = Read(**record)
                self._users[read.way].add(read)

    def _watch(self, seconds: int | None) -> None:
        request, wanted = Every(REQUEST_EVERY_S), cycle(REQUESTED)
        with self._drawing(seconds) as draw:
            while not self._stop.wait(LOOK_EVERY_S) and (seconds is None or self._elapsed_s() < seconds):
                self._children.check()
                if request.has_come():
                    self._warmer.warm(next(wanted), force=True)
                draw()

    @contextmanager
    def _drawing(self, seconds: int | None) -> Iterator[Callable[[], None]]:
        if not self._console.is_terminal:
            next_line = Every(LINE_EVERY_S)
            yield lambda: self._console.print(line(self._picture()), soft_wrap=True) if next_line.has_come() else None
            return
        until = "until Ctrl-C" if seconds is None else f"of {seconds} s"
        with Live(console=self._console, auto_refresh=False) as live:
            yield lambda: live.update(screen(self._picture(), until), refresh=True)

    def _sum_up(self) -> None:
        picture = self._picture()
        if not picture.users["with"].latencies.reads:
            return  # ended before anybody had read anything
        performance = picture.snapshot.stats.performance
        self._console.print(summary(picture))
        self._console.print(
            f"{performance.efficiency_score:.0f} % of {performance.judged} judged refreshes were of use to somebody; "
            f"{performance.failed} computations failed"
        )

    def _picture(self) -> Picture:
        taken = snapshot.take(self._warmer)
        return Picture(self._elapsed_s(), taken, self._users, taken.price)

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began_s


def _prepare_flights(console: Console) -> None:
    """Build the database once; later runs find it."""
    path = default_path()
    if not is_complete(path):
        with Progress(console=console) as progress:
            task = progress.add_task(f"reading {FLIGHT_COUNT:,} flights", total=FLIGHT_COUNT)
            build_database(path, lambda done, total: progress.update(task, completed=done, total=total))
    console.print(f"{FLIGHT_COUNT:,} flights in {path}", soft_wrap=True)


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C and the like set, so that everything ends in good order."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda signum, frame: stop.set()) for number in STOP_SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
