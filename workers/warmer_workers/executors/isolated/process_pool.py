"""Computations in processes of their own: what crashes there, or never ends, takes nothing else with it."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from warmer.errors import described
from warmer.refresh.refreshed import Computed
from warmer_workers.executors.isolated.child_process import ChildProcess, DiedError, not_started
from warmer_workers.executors.isolated.order import ComputeRequest


class Slot:
    """A seat for one child, which is started when it is first needed.

    Args:
        import_path: Where children find modules.
        environment: Variables that they have besides those of this process.
    """

    def __init__(self, import_path: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start nothing yet."""
        self._import_path = import_path
        self._environment = environment
        self._child: ChildProcess | None = None

    def compute(self, order: ComputeRequest, entrust: Callable[[ChildProcess], None]) -> list[Computed]:
        """Return what comes of each target of an order.

        After a crash, those that had not been computed are computed one by one, so that only those crash that do so
        alone.

        Args:
            order: What to compute.
            entrust: Told which child computes it, each time before it does; may raise to have nothing computed.

        Raises:
            BaseException: what `entrust` raises.
        """
        computed, crashed = self._attempt(order, order.refs, entrust)
        if crashed is None:
            return computed
        if len(order.refs) == 1:
            return [crashed]
        for ref in order.refs[len(computed) :]:
            alone, crashed = self._attempt(order, (ref,), entrust)
            computed += alone if crashed is None else [crashed]
        return computed

    def leave(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def _attempt(
        self, order: ComputeRequest, refs: Sequence[str], entrust: Callable[[ChildProcess], None]
    ) -> tuple[list[Computed], Computed | None]:
        """Return what was computed, and the crash that ended it, if one did."""
        before = self._child
        try:
            child = self._ready(entrust)
        except (DiedError, OSError) as error:
            reason = described(error) if isinstance(error, OSError) else str(error)
            return [Computed(error=not_started(reason)) for _ in refs], None
        sent_s = time.monotonic()
        computed: list[Computed] = []
        try:
            computed.extend(child.compute(order, refs))
        except DiedError as died:
            began_s = child.computing_since_s
            if began_s is None and child is before:  # it had died before it got this
                return self._attempt(order, refs, entrust)
            began_s = sent_s if began_s is None else began_s
            return computed, Computed(duration_s=time.monotonic() - began_s, crashed=str(died))
        return computed, None

    def _ready(self, entrust: Callable[[ChildProcess], None]) -> ChildProcess:
        if self._child is None or not self._child.is_alive:
            self.leave()
            self._child = ChildProcess(self._import_path, self._environment)
        entrust(self._child)
        self._child.await_ready()
        return self._child


logger = logging.getLogger("warmer.drain")

DISMISS_LIMIT_S = 10.0
"""Nobody waits longer for a thread whose child is dead already."""

Tell = Callable[[list[Computed]], None]


class _GivenUpError(Exception):
    """Nobody waits for this order any more."""


class _Job:
    """An order, and who computes it at this moment.

    Args:
        order: What to compute.
        tell: Told what came of it.
    """

    def __init__(self, order: ComputeRequest, tell: Tell) -> None:
        self.order = order
        self._tell = tell
        self._lock = threading.Lock()
        self._child: ChildProcess | None = None
        self._is_over = False

    @property
    def computing_since_s(self) -> float | None:
        child = self._child
        return None if child is None else child.computing_since_s

    def entrust(self, child: ChildProcess) -> None:
        with self._lock:
            if self._is_over:
                raise _GivenUpError
            self._child = child

    def give_up(self) -> None:
        with self._lock:  # until it is released the child has no other order
            self._is_over = True
            if self._child is not None:
                self._child.kill()

    def conclude(self, computed: list[Computed]) -> None:
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
            self._child = None
        self._tell(computed)


class ProcessPool:
    """Up to so many children, started when they are first needed, and reused.

    Args:
        count: Computations at once, 1 or more.
        import_path: Where children find modules; where this process does if empty.
        environment: Variables that they have besides those of this process, such as the address of a private server.

    Example:
        >>> from queue import SimpleQueue
        >>> from warmer import WarmingTask
        >>> task = WarmingTask(task_id="title", cache_key="title:{s}", compute_fn="string:capwords")
        >>> order = ComputeRequest(definition=task.definition(), compute_path="string:capwords",
        ...                        refs=('title{"s":"a tale"}',), timeout_s=60)
        >>> processes, told = ProcessPool(2), SimpleQueue()
        >>> processes.do(order, told.put)
        >>> told.get(timeout=60)[0].encoded
        Encoded(number=1, payload=b'"A Tale"')
        >>> processes.dismiss()
    """

    def __init__(
        self, count: int, import_path: Sequence[str] = (), environment: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Start nothing yet."""
        self._count = count
        self._import_path = tuple(import_path)
        self._environment = environment
        self._changed = threading.Condition()
        self._jobs: dict[ComputeRequest, _Job] = {}
        self._waiting: deque[_Job] = deque()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._is_dismissed = False

    def do(self, order: ComputeRequest, tell: Tell) -> None:
        """Have an order computed, as soon as a child is free; returns at once.

        Args:
            order: What to compute; a new one each time.
            tell: Called once, from a thread of its own, with what came of each ref, in their order; it must be quick.

        Raises:
            RuntimeError: the children have been dismissed.
        """
        job = _Job(order, tell)
        with self._changed:
            if self._is_dismissed:
                raise RuntimeError("the processes for computations have been dismissed")
            if self._idle <= len(self._waiting) and len(self._threads) < self._count:
                thread = threading.Thread(target=self._serve, name="warmer-isolated", daemon=True)
                thread.start()
                self._threads.append(thread)
            self._jobs[order] = job
            self._waiting.append(job)
            self._changed.notify()

    def give_up(self, order: ComputeRequest) -> None:
        """Let go of an order: if a child computes it, that is killed, and another takes its place when one is needed.

        Nothing is told of it any more; only what is being told at this very moment may still arrive.

        Args:
            order: From `do`; one that is over already is left at that.
        """
        with self._changed:
            job = self._jobs.pop(order, None)
            if job is None:
                return
            if job in self._waiting:
                self._waiting.remove(job)
        job.give_up()

    def computing_since_s(self, order: ComputeRequest) -> float | None:
        """Return since when a computation of an order has been running, on the monotonic clock.

        Time in the queue, and that a child takes to start and to import the task's module, is no computation. Where the
        targets of an order are computed one by one, each counts from its own beginning.

        Args:
            order: From `do`.

        Returns:
            The moment in seconds; None if nothing of it is being computed.
        """
        job = self._jobs.get(order)
        return None if job is None else job.computing_since_s

    def dismiss(self) -> None:
        """Kill all children and wait until they are gone; nothing is told any more."""
        with self._changed:
            self._is_dismissed = True
            jobs = list(self._jobs.values())
            self._jobs.clear()
            self._waiting.clear()
            self._changed.notify_all()
        for job in jobs:
            job.give_up()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(DISMISS_LIMIT_S)

    def _serve(self) -> None:
        """Compute one order after the other, with a child of this thread's own."""
        seat = Slot(self._import_path, self._environment)
        try:
            while (job := self._next()) is not None:
                self._carry_out(job, seat)
        finally:
            seat.leave()

    def _next(self) -> _Job | None:
        with self._changed:
            self._idle += 1
            try:
                while not self._waiting and not self._is_dismissed:
                    self._changed.wait()
            finally:
                self._idle -= 1
            return None if self._is_dismissed else self._waiting.popleft()

    def _carry_out(self, job: _Job, seat: Slot) -> None:
        try:
            computed = seat.compute(job.order, job.entrust)
        except _GivenUpError:
            return
        except Exception as error:  # an order that cannot even be sent
            seat.leave()
            computed = [Computed(error=not_started(described(error))) for _ in job.order.refs]
        with self._changed:
            self._jobs.pop(job.order, None)
        try:
            job.conclude(computed)
        except Exception:
            logger.exception("what came of computations in a process of their own could not be told")
