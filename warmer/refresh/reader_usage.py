"""Counts what readers compute by themselves under the fleet's limits: they are not held up, workers hold back."""

import logging
import threading
from collections.abc import Callable, Sequence
from secrets import token_hex

from warmer import fork
from warmer.outage import Outage
from warmer.spawn import OnDemandThread, Spawn, start_thread

logger = logging.getLogger("warmer.limits")

GATHER_S = 0.02
"""For so long changes are gathered before they are sent."""

RETRY_S = 1.0
"""So long the sender waits when Redis did not take a report."""

IDLE_S = 5.0
"""After so long with nothing to report the thread ends; the next computation starts another."""

Send = Callable[[str, int, Sequence[str | int]], object]
"""Sends reports: the process's id, its time-out in ms, and what ``guests.lua`` takes as reports."""


class _Count:
    """Computations under one limit: how many run, how many were started, and both as Redis last took them in."""

    __slots__ = ("reported", "running", "started")

    def __init__(self) -> None:
        self.running = 0
        self.started = 0
        self.reported = (0, 0)


class _Computing:
    """One computation, from its begin to its end."""

    __slots__ = ("_count", "_guests", "_name")

    def __init__(self, guests: "ReaderUsage", name: str) -> None:
        self._guests = guests
        self._name = name

    def __enter__(self) -> None:
        self._count = self._guests._begin(self._name)

    def __exit__(self, *_: object) -> None:
        self._guests._end(self._count)


class ReaderUsage(fork.ForkSafe):
    """Tells the fleet what this process's readers compute by themselves; they never wait for that.

    Reports say how many run now and how many were ever started: one that is lost, doubled or late does no harm.

    Args:
        send: Sends reports to Redis; it may fail.
        timeout_s: Seconds without a report after which this process counts as dead; three are sent in this time.
        spawn: Starts the thread that sends them.

    Example:
        >>> sent = []
        >>> guests = ReaderUsage(lambda process, timeout_ms, reports: sent.append(reports), timeout_s=10)
        >>> with guests.computing("pg-main"):
        ...     guests.report()
        True
        >>> sent[0]
        ['pg-main', 1, 1, 0]
        >>> guests.close()
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
        self._take_back_exit: Callable[[], object] | None = None

    def computing(self, limit_name: str) -> _Computing:
        """Count a reader's own computation for as long as a block runs.

        Args:
            limit_name: The limit of its task.

        Returns:
            A context manager; it does not wait, and raises nothing.
        """
        return _Computing(self, limit_name)

    def report(self) -> bool:
        """Send what runs, and what has changed since the last report; False when Redis did not take it."""
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
        """Report once more, and no longer: what still runs counts until its time-out."""
        self._closed.set()
        with self._wake:
            self._wake.notify()
        take_back, self._take_back_exit = self._take_back_exit, None
        if take_back is not None:
            take_back()
        if not self._outage.is_on:
            self.report()

    # --- what readers do -------------------------------------------------------------------------------------
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
            count.running -= 1  # in a child forked meanwhile: of the parent's count, which is no more looked at
            self._changed()

    def _changed(self) -> None:
        if not self._has_changed:
            self._has_changed = True
            self._ensure_running()

    def _ensure_running(self) -> None:
        if self._take_back_exit is None:
            self._take_back_exit = fork.at_exit(self.close)
        if self._thread.ensure_running():
            self._wake.notify()
        else:  # it is not counted, and that is all
            self._has_changed = False  # the next one tries again

    # --- what the thread does --------------------------------------------------------------------------------
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
            self._has_changed = True  # what was not taken in is sent again
        self._outage.begin(error)


def _flat(unsent: dict[str, tuple[int, int, int]]) -> list[str | int]:
    return [word for name, numbers in unsent.items() for word in (name, *numbers)]
