"""Runs several worker processes: starts them, starts those again that die, and stops all of them together.

The first SIGTERM or SIGINT is passed on, and each worker ends as it would alone; the second has all of them leave at
once. When this process dies, however it dies, its workers end in good order.

Exit codes: 0 if all workers ended well, 2 if all refuse their settings or modules, 128 and the signal's number (143,
130) after a second signal, else the first that was not 0.
"""

import contextlib
import logging
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from warmer_workers.signals import SignalPipe, no_interruption
from warmer_workers.work_horse import cause_of
from warmer_workers.work_horse_child import OBEYED

logger = logging.getLogger("warmer.worker")

LOOK_EVERY_S = 0.5
LONGEST_PAUSE_S = 30.0

SETTLED_S = 10.0
"""A worker that lived this long did not die of its start, and is started again at once."""

OVERDUE_AFTER_S = 5.0
"""Longer after its grace than a worker takes to end by itself."""

AT_ONCE_S = 3.0

EXIT_REFUSED = 2


def pause_s(early_deaths: int) -> float:
    """Return how long to wait before a worker is started again.

    Args:
        early_deaths: How often in a row it died soon after its start.

    Returns:
        Seconds: none after a long life, then from 1 up to 30, doubling.

    Example:
        >>> [pause_s(deaths) for deaths in (0, 1, 2, 5, 6, 5000)]
        [0.0, 1.0, 2.0, 16.0, 30.0, 30.0]
    """
    return 0.0 if early_deaths == 0 else min(LONGEST_PAUSE_S, 2.0 ** min(early_deaths - 1, 10))


def exit_code_of_all(exit_codes: Collection[int]) -> int:
    """Return what all the workers' exit codes amount to.

    Args:
        exit_codes: As `subprocess` has them: negative for a signal. SIGTERM ended one that was told to stop before it
            could listen.

    Example:
        >>> exit_code_of_all([0, -signal.SIGTERM]), exit_code_of_all([0, 3, 1]), exit_code_of_all([-9])
        (0, 3, 137)
    """
    unwell = (code for code in exit_codes if code not in (os.EX_OK, -signal.SIGTERM))
    code = next(unwell, os.EX_OK)
    return code if code >= 0 else 128 - code


@dataclass(slots=True)
class _Place:
    """Where a worker runs, one after the other if they die."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    start_at_s: float = 0.0
    early_deaths: int = 0
    exit_code: int | None = None


class Supervisor:
    """Worker processes that are started together, and replaced when they die.

    Args:
        arguments: Of each `warmer worker`.
        processes: How many.
        grace_s: How long a worker that is told to stop goes on with what it has begun.
        is_burst: Whether they end by themselves; then none is replaced.

    Example:
        >>> Supervisor(["--import", "shop.tasks"], processes=4, grace_s=10.0, is_burst=False).is_told
        False
    """

    def __init__(self, arguments: Sequence[str], processes: int, grace_s: float, *, is_burst: bool) -> None:
        """Prepare; `run` starts them."""
        self._arguments = list(arguments)
        self._grace_s = grace_s
        self._is_burst = is_burst
        self._places = [_Place(number) for number in range(1, processes + 1)]
        self._bell = SignalPipe()
        self._kill_at_s = math.inf
        self._signal_at_once: signal.Signals | None = None
        self.is_told = False

    def run(self) -> int:
        """Run them until all have ended, and return the exit code."""
        self._bell.ring_at([*OBEYED, signal.SIGCHLD], no_interruption)
        while True:
            for place in self._places:
                self._look_after(place, time.monotonic())
            if self._have_all_ended():
                return self._exit_code()
            for number in self._bell.heard(self._until_next_s(time.monotonic())):
                if number in OBEYED:
                    self._obey(signal.Signals(number))

    def _exit_code(self) -> int:
        if self._signal_at_once is not None:
            return 128 + self._signal_at_once
        return exit_code_of_all([place.exit_code for place in self._places if place.exit_code is not None])

    def _have_all_ended(self) -> bool:
        if any(place.process is not None for place in self._places):
            return False
        exit_codes = [place.exit_code for place in self._places]
        is_over = self.is_told or self._is_burst
        return None not in exit_codes and (is_over or all(code == EXIT_REFUSED for code in exit_codes))

    def _until_next_s(self, now_s: float) -> float:
        starts_s = [place.start_at_s for place in self._places if place.process is None and not self._is_over(place)]
        return max(0.0, min([LOOK_EVERY_S, *(start_s - now_s for start_s in starts_s)]))

    def _is_over(self, place: _Place) -> bool:
        return self.is_told or (self._is_burst and place.exit_code is not None)

    def _look_after(self, place: _Place, now_s: float) -> None:
        if place.process is not None:
            self._look_at(place, place.process, now_s)
        if place.process is None and not self._is_over(place) and now_s >= place.start_at_s:
            self._start(place, now_s)

    def _look_at(self, place: _Place, process: subprocess.Popen[bytes], now_s: float) -> None:
        if now_s >= self._kill_at_s:
            process.kill()
        if process.poll() is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        place.process, place.exit_code = None, process.returncode
        if not self._is_over(place):
            self._plan_start(place, process.pid, now_s)

    def _plan_start(self, place: _Place, pid: int, now_s: float) -> None:
        place.early_deaths = 0 if now_s - place.started_s >= SETTLED_S else place.early_deaths + 1
        place.start_at_s = now_s + pause_s(place.early_deaths)
        logger.error(
            "worker process %d (pid %d) has ended (%s); it is started again %s",
            place.number,
            pid,
            cause_of(place.exit_code or os.EX_OK),
            f"in {pause_s(place.early_deaths):g} s" if place.early_deaths else "at once",
        )

    def _start(self, place: _Place, now_s: float) -> None:
        place.started_s, place.exit_code = now_s, None
        place.process = subprocess.Popen(
            [sys.executable, "-m", "warmer.processes.lifeline", "warmer", "worker", "--supervised", *self._arguments],
            stdin=subprocess.PIPE,  # which ends with this process, and the worker with that
            process_group=0,  # Ctrl-C is for this process alone
        )

    def _obey(self, number: signal.Signals) -> None:
        is_at_once = self.is_told or number == signal.SIGQUIT
        self._kill_at_s = time.monotonic() + (AT_ONCE_S if is_at_once else self._grace_s + OVERDUE_AFTER_S)
        self._signal_at_once = number if is_at_once else None
        self.is_told = True
        self._send(signal.SIGQUIT if is_at_once else signal.SIGTERM)
        for place in self._places:
            place.exit_code = os.EX_OK if place.process is None else place.exit_code

    def _send(self, number: signal.Signals) -> None:
        for place in self._places:
            if place.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    place.process.send_signal(number)
