"""Reader usage: reports computations of readers under a limit, so that workers leave them capacity."""

import logging
import threading
from collections.abc import Callable, Sequence
from secrets import token_hex

from warmer import fork
from warmer.outage import Outage
from warmer.spawn import OnDemandThread, Spawn, start_thread

logger = logging.getLogger("warmer.limits")

GATHER_S = 0.02
"""Changes are gathered for this time before they are sent."""

RETRY_S = 1.0
"""Pause after a report that Redis did not accept."""

IDLE_S = 5.0
"""With nothing to report for this time the thread ends; the next computation starts another."""

Send = Callable[[str, int, Sequence[str | int]], object]
"""Sends reports: the process's id, its time-out in ms, and the reports as ``reader_usage.lua`` takes them."""


class _Count:
    """Computations under one limit: how many run, how many were started, and both as last reported."""

    __slots__ = ("reported", "running", "started")

    def __init__(self) -> None:
        self.running = 0
        self.started = 0
        self.reported = (0, 0)


class _Computing:
    """One computation, from its start to its end."""

    __slots__ = ("_count", "_name", "_usage")

    def __init__(self, usage: "ReaderUsage", name: str) -> None:
        self._usage = usage
        self._name = name

    def __enter__(self) -> None:
        self._count = self._usage._begin(self._name)

    def __exit__(self, *_: object) -> None:
        self._usage._end(self._count)


class ReaderUsage(fork.ForkSafe):
    """Reports the computations of this process's readers; no reader waits for that.

    Reports say how many run now and how many were ever started: one that is lost, doubled or late does no harm.

    Args:
        send: Sends reports to Redis; it may fail.
        timeout_s: Seconds without a report after which this process counts as dead; three are sent in this time.
        spawn: Starts the thread that sends them.

    Example:
        >>> sent = []
        >>> usage = ReaderUsage(lambda process, timeout_ms, reports: sent.append(reports), timeout_s=10)
        >>> with usage.computing("pg-main"):
        ...     usage.report()
        True
        >>> sent[0]
        ['pg-main', 1, 1, 0]
        >>> usage.close()
    """

    def __init__(self, send: Send, timeout_s: float, spawn: Spawn = start_thread) -> None:
        """Start with none; the thread runs only once something is computed."""
        self._send = send
        self._timeout_s = timeout_s
        self._spawn = spawn
        super().__init__()

    def _reset_after_fork(self) -> None:
        self._wake = threading.Condition()  # re-entrant: a signal's handler may read, too
        self._sending = threading.Lock()
        self._process = token_hex(8)
        self._counts: dict[str, _Count] = {}
        self._has_changed = False
        self._outage = Outage(
            logger,
            f"workers do not see what readers compute (%s); trying again every {RETRY_S:g} s",
            "workers see again what readers compute",
        )
        self._closed = threading.Event()
        self._thread = OnDemandThread("warmer-reader-usage", self._run, self._spawn)
        self._cancel_exit: Callable[[], object] | None = None

    def computing(self, limit_name: str) -> _Computing:
        """Count a reader's own computation for as long as a block runs.

        Args:
            limit_name: The limit of its task.

        Returns:
            A context manager; it does not wait, and raises nothing.
        """
        return _Computing(self, limit_name)

    def report(self) -> bool:
        """Send what runs, and what has changed since the last report; False when Redis did not accept it."""
        with self._sending:
            unsent = self._unsent()
            if not unsent:
                return True
            try:
                self._send(self._process, int(self._timeout_s * 1000), _flat(unsent))
            except Exception as error:  # computations go on, and are reported when Redis is back
                self._failed(error)
                return False
            self._acknowledge(unsent)
            return True

    def close(self) -> None:
        """Report a last time: what still runs counts until its time-out."""
        self._closed.set()
        with self._wake:
            self._wake.notify()
        cancel, self._cancel_exit = self._cancel_exit, None
        if cancel is not None:
            cancel()
        if not self._outage.is_on:
            self.report()

    # --- readers -------------------------------------------------------------------------------------
    def _begin(self, name: str) -> _Count:
        with self._wake:
            count = self._counts.get(name)
            if count is None:
                count = self._counts[name] = _Count()
            count.running += 1
            count.started += 1
            self._changed()
        return count

    def _end(self, count: _Count) -> None:
        with self._wake:
            count.running -= 1  # in a child forked meanwhile: of the parent's count, which nobody reads any more
            self._changed()

    def _changed(self) -> None:
        if not self._has_changed:
            self._has_changed = True
            self._ensure_running()

    def _ensure_running(self) -> None:
        if self._cancel_exit is None:
            self._cancel_exit = fork.at_exit(self.close)
        if self._thread.ensure_running():
            self._wake.notify()
        else:  # then it is not counted
            self._has_changed = False  # the next one tries again

    # --- the thread --------------------------------------------------------------------------------
    def _run(self) -> None:
        while self._wait_for_work():
            self._closed.wait(GATHER_S)
            if not self.report():
                self._closed.wait(RETRY_S)

    def _wait_for_work(self) -> bool:
        with self._wake:
            if not self._has_changed and not self._closed.is_set():
                self._wake.wait(self._timeout_s / 3 if self._is_anything_running() else IDLE_S)
            if not self._closed.is_set() and (self._has_changed or self._is_anything_running()):
                return True
            self._thread.has_ended()
            return False

    def _is_anything_running(self) -> bool:
        return any(count.running for count in self._counts.values())

    def _unsent(self) -> dict[str, tuple[int, int, int]]:
        with self._wake:
            self._has_changed = False
            return {
                name: (count.running, count.started, count.reported[1])
                for name, count in self._counts.items()
                if count.running or (count.running, count.started) != count.reported
            }

    def _acknowledge(self, sent: dict[str, tuple[int, int, int]]) -> None:
        with self._wake:
            for name, (running, started, _) in sent.items():
                self._counts[name].reported = (running, started)
        self._outage.end()

    def _failed(self, error: Exception) -> None:
        with self._wake:
            self._has_changed = True  # what was not accepted is sent again
        self._outage.begin(error)


def _flat(unsent: dict[str, tuple[int, int, int]]) -> list[str | int]:
    return [word for name, numbers in unsent.items() for word in (name, *numbers)]
