"""Thread pool of a drain: daemon threads with a queue, each of which can be abandoned.

A thread that hangs in a user's function cannot be stopped. It is abandoned, and another one takes its place.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable
from queue import SimpleQueue

from warmer.refresh.read_counter import uncounted_reads
from warmer_workers.computation import Computation, Report


class ThreadExecutor:
    """A bounded number of threads, started when needed; a busy thread takes its next computation from the queue.

    Args:
        count: The maximum number of threads.
        run_low: Called when at most `low_water` computations wait, and when a thread finds none.
        report: Receives the outcome of each computation.
    """

    def __init__(self, count: int, run_low: Callable[[], None], report: Report) -> None:
        self.waiting: deque[Computation] = deque()
        self.low_water = 0
        self._count = count
        self._run_low = run_low
        self._report = report
        self._lock = threading.Lock()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._started = 0
        self._idle = 0
        self._abandoned: set[Computation] = set()
        self._is_waking = False
        self._is_shut_down = False

    def submit(self, computations: Iterable[Computation]) -> None:
        """Queue computations, in this order; those with a higher priority than all in the queue go to its front.

        The queue is not sorted further: a target with a lower priority may be in it because of its age.
        """
        submitted = list(computations)
        highest = max((computation.priority for computation in list(self.waiting)), default=math.inf)
        urgent = [computation for computation in submitted if computation.priority > highest]
        self.waiting.extendleft(reversed(urgent))
        self.waiting.extend([computation for computation in submitted if computation.priority <= highest])
        self._wake_one()

    def withdraw(self) -> list[Computation]:
        """Remove and return the computations that no thread has begun."""
        taken: list[Computation] = []
        try:
            while True:
                taken.append(self.waiting.popleft())
        except IndexError:
            return taken

    def abandon(self, computation: Computation) -> None:
        """Abandon the thread of a computation; another one may be started in its place."""
        with self._lock:
            self._abandoned.add(computation)
            self._started -= 1
        self._wake_one()

    def shutdown(self) -> None:
        """Let all threads end after their present computations; returns at once."""
        self._is_shut_down = True
        for _ in range(self._started):
            self._wake.put(None)

    def _wake_one(self) -> None:
        """Wake a thread, or start one; it wakes the next one if more computations wait.

        Threads wake one by one because the first may empty the queue before a second one runs.
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
        with uncounted_reads():  # reads by computations of warming are not demand
            self._compute_waiting()

    def _compute_waiting(self) -> None:
        while not self._is_shut_down:
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
            if self._abandoned and computation in self._abandoned:
                with self._lock:
                    self._abandoned.discard(computation)
                return
            self._report(computation, computed)

    def _sleep(self) -> None:
        with self._lock:
            self._is_waking = False
            if self.waiting or self._is_shut_down:  # this changed after the last look
                return
            self._idle += 1
        self._wake.get()
        with self._lock:
            self._idle -= 1
