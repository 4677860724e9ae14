"""A supervisor of worker processes: starts them, restarts those that die, and stops all of them together.

The first SIGTERM or SIGINT is forwarded, and each worker shuts down gracefully; at the second one all exit at once.
When the supervisor dies, even by SIGKILL, its workers shut down gracefully.

Exit codes: 0 if all workers ended with 0; 2 if all rejected their settings or modules; 128 plus the signal's number
(143, 130) after a second signal; else the first that was not 0.
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

from warmer_workers.signals import SignalPipe, ignore_signal
from warmer_workers.work_horse import cause_of
from warmer_workers.work_horse_child import STOP_SIGNALS

logger = logging.getLogger("warmer.worker")

POLL_INTERVAL_S = 0.5
MAX_RESTART_DELAY_S = 30.0

MIN_LIFE_S = 10.0
"""A worker that lived at least this long is restarted at once: its start was not the cause of its death."""

KILL_AFTER_GRACE_S = 5.0
"""Time after the grace until a worker is killed; it exits by itself before."""

KILL_AFTER_QUIT_S = 3.0

EXIT_REFUSED = 2


def restart_delay_s(early_deaths: int) -> float:
    """Return the delay before a worker is restarted, in seconds: exponential backoff from 1 to 30.

    Args:
        early_deaths: Deaths in a row, each soon after the start.

    Example:
        >>> [restart_delay_s(deaths) for deaths in (0, 1, 2, 5, 6, 5000)]
        [0.0, 1.0, 2.0, 16.0, 30.0, 30.0]
    """
    return 0.0 if early_deaths == 0 else min(MAX_RESTART_DELAY_S, 2.0 ** min(early_deaths - 1, 10))


def exit_code_of_all(exit_codes: Collection[int]) -> int:
    """Return the exit code for all workers together.

    Args:
        exit_codes: As in `subprocess`: negative for a signal. SIGTERM counts as 0: the worker got it before it had set
            its handlers.

    Example:
        >>> exit_code_of_all([0, -signal.SIGTERM]), exit_code_of_all([0, 3, 1]), exit_code_of_all([-9])
        (0, 3, 137)
    """
    failed = (code for code in exit_codes if code not in (os.EX_OK, -signal.SIGTERM))
    code = next(failed, os.EX_OK)
    return code if code >= 0 else 128 - code


@dataclass(slots=True)
class _WorkerProcess:
    """One of the workers; another process takes its place if it dies."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    start_at_s: float = 0.0
    early_deaths: int = 0
    exit_code: int | None = None


class Supervisor:
    """Worker processes that are started together, and restarted when they die.

    Args:
        arguments: Of each `warmer worker`.
        processes: How many.
        grace_s: How long a stopping worker goes on with its running computations, in seconds.
        is_burst: Whether they end by themselves; then none is restarted.

    Example:
        >>> Supervisor(["--import", "shop.tasks"], processes=4, grace_s=10.0, is_burst=False).is_stopping
        False
    """

    def __init__(self, arguments: Sequence[str], processes: int, grace_s: float, *, is_burst: bool) -> None:
        """Prepare; `run` starts them."""
        self._arguments = list(arguments)
        self._grace_s = grace_s
        self._is_burst = is_burst
        self._workers = [_WorkerProcess(number) for number in range(1, processes + 1)]
        self._pipe = SignalPipe()
        self._kill_at_s = math.inf
        self._quit_signal: signal.Signals | None = None
        self.is_stopping = False

    def run(self) -> int:
        """Run the workers until all have ended, and return the exit code."""
        self._pipe.listen([*STOP_SIGNALS, signal.SIGCHLD], ignore_signal)
        while True:
            for worker in self._workers:
                self._check(worker, time.monotonic())
            if self._have_all_ended():
                return self._exit_code()
            for number in self._pipe.received(self._until_next_s(time.monotonic())):
                if number in STOP_SIGNALS:
                    self._handle(signal.Signals(number))

    def _exit_code(self) -> int:
        if self._quit_signal is not None:
            return 128 + self._quit_signal
        return exit_code_of_all([worker.exit_code for worker in self._workers if worker.exit_code is not None])

    def _have_all_ended(self) -> bool:
        if any(worker.process is not None for worker in self._workers):
            return False
        exit_codes = [worker.exit_code for worker in self._workers]
        restarts_none = self.is_stopping or self._is_burst
        return None not in exit_codes and (restarts_none or all(code == EXIT_REFUSED for code in exit_codes))

    def _until_next_s(self, now_s: float) -> float:
        starts_s = [one.start_at_s for one in self._workers if one.process is None and not self._is_over(one)]
        return max(0.0, min([POLL_INTERVAL_S, *(start_s - now_s for start_s in starts_s)]))

    def _is_over(self, worker: _WorkerProcess) -> bool:
        return self.is_stopping or (self._is_burst and worker.exit_code is not None)

    def _check(self, worker: _WorkerProcess, now_s: float) -> None:
        if worker.process is not None:
            self._check_process(worker, worker.process, now_s)
        if worker.process is None and not self._is_over(worker) and now_s >= worker.start_at_s:
            self._start(worker, now_s)

    def _check_process(self, worker: _WorkerProcess, process: subprocess.Popen[bytes], now_s: float) -> None:
        if now_s >= self._kill_at_s:
            process.kill()
        if process.poll() is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        worker.process, worker.exit_code = None, process.returncode
        if not self._is_over(worker):
            self._plan_restart(worker, process.pid, now_s)

    def _plan_restart(self, worker: _WorkerProcess, pid: int, now_s: float) -> None:
        worker.early_deaths = 0 if now_s - worker.started_s >= MIN_LIFE_S else worker.early_deaths + 1
        worker.start_at_s = now_s + restart_delay_s(worker.early_deaths)
        logger.error(
            "worker process %d (pid %d) has ended (%s); it is started again %s",
            worker.number,
            pid,
            cause_of(worker.exit_code or os.EX_OK),
            f"in {restart_delay_s(worker.early_deaths):g} s" if worker.early_deaths else "at once",
        )

    def _start(self, worker: _WorkerProcess, now_s: float) -> None:
        worker.started_s, worker.exit_code = now_s, None
        worker.process = subprocess.Popen(
            [sys.executable, "-m", "warmer.processes.lifeline", "warmer", "worker", "--supervised", *self._arguments],
            stdin=subprocess.PIPE,  # it closes with this process, and then the worker ends
            process_group=0,  # only this process gets Ctrl-C
        )

    def _handle(self, number: signal.Signals) -> None:
        is_at_once = self.is_stopping or number == signal.SIGQUIT
        self._kill_at_s = time.monotonic() + (KILL_AFTER_QUIT_S if is_at_once else self._grace_s + KILL_AFTER_GRACE_S)
        self._quit_signal = number if is_at_once else None
        self.is_stopping = True
        self._send(signal.SIGQUIT if is_at_once else signal.SIGTERM)
        for worker in self._workers:
            worker.exit_code = os.EX_OK if worker.process is None else worker.exit_code

    def _send(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    worker.process.send_signal(number)
