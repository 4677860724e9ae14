"""Daemon threads that work off what waits; one that hangs is left behind, and never waited for."""

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable
from queue import SimpleQueue

from warmer.refresh.read_counter import uncounted_reads
from warmer_workers.computation import Computation, Tell


class ThreadExecutor:
    """Up to so many threads at work; what they find waiting they take without being woken for it.

    Args:
        count: How many.
        run_low: Called when no more than `low_water` computations wait, and when a thread finds none.
        tell: Told what came of each.
    """

    def __init__(self, count: int, run_low: Callable[[], None], tell: Tell) -> None:
        """Start without threads."""
        self.waiting: deque[Computation] = deque()
        self.low_water = 0
        self._count = count
        self._run_low = run_low
        self._tell = tell
        self._lock = threading.Lock()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._started = 0
        self._idle = 0
        self._left_behind: set[Computation] = set()
        self._is_waking = False
        self._is_dismissed = False

    def do(self, computations: Iterable[Computation]) -> None:
        """Have computations carried out, in this order; those that are more urgent than all that wait go first.

        What waits may have aged, or have had its turn: it gives way to nothing else.
        """
        given = list(computations)
        most = max((computation.priority for computation in list(self.waiting)), default=math.inf)
        urgent = [computation for computation in given if computation.priority > most]
        self.waiting.extendleft(reversed(urgent))
        self.waiting.extend([computation for computation in given if computation.priority <= most])
        self._wake_one()

    def take_back(self) -> list[Computation]:
        """Return what no thread has begun, and will not begin any more."""
        taken: list[Computation] = []
        try:
            while True:
                taken.append(self.waiting.popleft())
        except IndexError:
            return taken

    def leave_behind(self, computation: Computation) -> None:
        """Give a computation's thread up: another may be started in its place."""
        with self._lock:
            self._left_behind.add(computation)
            self._started -= 1
        self._wake_one()

    def dismiss(self) -> None:
        """Let all threads end after their present computation."""
        self._is_dismissed = True
        for _ in range(self._started):
            self._wake.put(None)

    def _wake_one(self) -> None:
        """Wake a thread, or start one; it wakes the next if there is more than it can take itself.

        Waking them one by one costs little where the first has done all the work before the second is there.
        """
        with self._lock:
            if self._is_waking or not self.waiting:
                return
            if self._idle == 0 and self._started >= self._count:
                return
            self._is_waking = True
            must_start = self._idle == 0
            self._started += must_start
        if must_start:
            threading.Thread(target=self._run, name="warmer-drain", daemon=True).start()
        else:
            self._wake.put(None)

    def _run(self) -> None:
        with uncounted_reads():  # what computations of warming read is no demand
            self._work_off()

    def _work_off(self) -> None:
        while not self._is_dismissed:
            try:
                computation = self.waiting.popleft()
            except IndexError:
                self._run_low()
                self._sleep()
                continue
            if self._is_waking:
                self._is_waking = False
                if self.waiting:
                    self._wake_one()
            if len(self.waiting) <= self.low_water:
                self._run_low()
            computed = computation.run()
            if self._left_behind and computation in self._left_behind:
                with self._lock:
                    self._left_behind.discard(computation)
                return
            self._tell(computation, computed)

    def _sleep(self) -> None:
        with self._lock:
            self._is_waking = False
            if self.waiting or self._is_dismissed:  # since this thread has looked
                return
            self._idle += 1
        self._wake.get()
        with self._lock:
            self._idle -= 1
