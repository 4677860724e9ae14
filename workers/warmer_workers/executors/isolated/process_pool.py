"""Pool of isolated child processes: queues compute requests, and reports the outcomes."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from warmer.errors import described
from warmer.refresh.refreshed import Computed
from warmer_workers.executors.isolated.child_process import ChildProcess, DiedError, not_started
from warmer_workers.executors.isolated.compute_request import ComputeRequest


class Slot:
    """A place for one child, which is started when it is first needed.

    Args:
        import_path: The folders of the child's modules.
        environment: Variables in addition to those of this process.
    """

    def __init__(self, import_path: Sequence[str], environment: Mapping[str, str]) -> None:
        self._import_path = import_path
        self._environment = environment
        self._child: ChildProcess | None = None

    def compute(self, request: ComputeRequest, assign: Callable[[ChildProcess], None]) -> list[Computed]:
        """Compute a request, and return the outcome of each target.

        After a crash, the targets without an outcome are computed one by one, so that only those that crash alone are
        reported as crashed.

        Args:
            request: The request.
            assign: Called with the child before each attempt; it may raise to prevent the attempt.

        Raises:
            BaseException: the error of `assign`.
        """
        computed, crashed = self._attempt(request, request.refs, assign)
        if crashed is None:
            return computed
        if len(request.refs) == 1:
            return [crashed]
        for ref in request.refs[len(computed) :]:
            alone, crashed = self._attempt(request, (ref,), assign)
            computed += alone if crashed is None else [crashed]
        return computed

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def _attempt(
        self, request: ComputeRequest, refs: Sequence[str], assign: Callable[[ChildProcess], None]
    ) -> tuple[list[Computed], Computed | None]:
        """Return the outcomes, and the crash that ended the attempt, if there was one."""
        before = self._child
        try:
            child = self._ready(assign)
        except (DiedError, OSError) as error:
            reason = described(error) if isinstance(error, OSError) else str(error)
            return [Computed(error=not_started(reason)) for _ in refs], None
        sent_s = time.monotonic()
        computed: list[Computed] = []
        try:
            computed.extend(child.compute(request, refs))
        except DiedError as died:
            began_s = child.computing_since_s
            if began_s is None and child is before:  # it had died before it got the request
                return self._attempt(request, refs, assign)
            began_s = sent_s if began_s is None else began_s
            return computed, Computed(duration_s=time.monotonic() - began_s, crashed=str(died))
        return computed, None

    def _ready(self, assign: Callable[[ChildProcess], None]) -> ChildProcess:
        if self._child is None or not self._child.is_alive:
            self.close()
            self._child = ChildProcess(self._import_path, self._environment)
        assign(self._child)
        self._child.await_ready()
        return self._child


logger = logging.getLogger("warmer.drain")

MAX_JOIN_S = 10.0
"""The longest wait for a thread whose child has been killed."""

Report = Callable[[list[Computed]], None]


class _CancelledError(Exception):
    """The request was cancelled."""


class _Job:
    """A request, and the child that computes it.

    Args:
        request: The request.
        report: Receives the outcomes.
    """

    def __init__(self, request: ComputeRequest, report: Report) -> None:
        self.request = request
        self._report = report
        self._lock = threading.Lock()
        self._child: ChildProcess | None = None
        self._is_over = False

    @property
    def computing_since_s(self) -> float | None:
        child = self._child
        return None if child is None else child.computing_since_s

    def assign(self, child: ChildProcess) -> None:
        with self._lock:
            if self._is_over:
                raise _CancelledError
            self._child = child

    def cancel(self) -> None:
        with self._lock:  # while it is held, the child gets no other request
            self._is_over = True
            if self._child is not None:
                self._child.kill()

    def finish(self, computed: list[Computed]) -> None:
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
            self._child = None
        self._report(computed)


class ProcessPool:
    """A bounded number of children, started when they are first needed, and reused.

    Args:
        count: Maximum number of children, 1 or more.
        import_path: The folders of the children's modules; those of this process if empty.
        environment: Variables in addition to those of this process, such as the address of a private server.

    Example:
        >>> from queue import SimpleQueue
        >>> from warmer import WarmingTask
        >>> task = WarmingTask(task_id="title", cache_key="title:{s}", compute_fn="string:capwords")
        >>> request = ComputeRequest(definition=task.definition(), compute_path="string:capwords",
        ...                        refs=('title{"s":"a tale"}',), timeout_s=60)
        >>> processes, outcomes = ProcessPool(2), SimpleQueue()
        >>> processes.submit(request, outcomes.put)
        >>> outcomes.get(timeout=60)[0].encoded
        Encoded(number=1, payload=b'"A Tale"')
        >>> processes.shutdown()
    """

    def __init__(
        self, count: int, import_path: Sequence[str] = (), environment: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._count = count
        self._import_path = tuple(import_path)
        self._environment = environment
        self._changed = threading.Condition()
        self._jobs: dict[ComputeRequest, _Job] = {}
        self._waiting: deque[_Job] = deque()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._is_shut_down = False

    def submit(self, request: ComputeRequest, report: Report) -> None:
        """Queue a request; returns at once.

        Args:
            request: A new request.
            report: Called once, in a thread of the pool, with the outcome of each ref, in their order; it must be
                quick.

        Raises:
            RuntimeError: the pool is shut down.
        """
        job = _Job(request, report)
        with self._changed:
            if self._is_shut_down:
                raise RuntimeError("the pool of isolated processes is shut down")
            if self._idle <= len(self._waiting) and len(self._threads) < self._count:
                thread = threading.Thread(target=self._serve, name="warmer-isolated", daemon=True)
                thread.start()
                self._threads.append(thread)
            self._jobs[request] = job
            self._waiting.append(job)
            self._changed.notify()

    def cancel(self, request: ComputeRequest) -> None:
        """Cancel a request; a child that computes it is killed, and replaced when another one is needed.

        Its outcomes are not reported, unless the report has begun already.

        Args:
            request: A submitted request; one that has ended is ignored.
        """
        with self._changed:
            job = self._jobs.pop(request, None)
            if job is None:
                return
            if job in self._waiting:
                self._waiting.remove(job)
        job.cancel()

    def computing_since_s(self, request: ComputeRequest) -> float | None:
        """Return the start of the present computation of a request, in seconds on the monotonic clock.

        Time in the queue, and for the start of a child and the import of the task's module, does not count. If targets
        are computed one by one, each has its own start.

        Args:
            request: A submitted request.

        Returns:
            The start; None while no target of the request is being computed.
        """
        job = self._jobs.get(request)
        return None if job is None else job.computing_since_s

    def shutdown(self) -> None:
        """Kill all children and wait until they are gone; nothing is reported after that."""
        with self._changed:
            self._is_shut_down = True
            jobs = list(self._jobs.values())
            self._jobs.clear()
            self._waiting.clear()
            self._changed.notify_all()
        for job in jobs:
            job.cancel()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(MAX_JOIN_S)

    def _serve(self) -> None:
        """Compute requests one after the other, in this thread's slot."""
        slot = Slot(self._import_path, self._environment)
        try:
            while (job := self._next()) is not None:
                self._compute(job, slot)
        finally:
            slot.close()

    def _next(self) -> _Job | None:
        with self._changed:
            self._idle += 1
            try:
                while not self._waiting and not self._is_shut_down:
                    self._changed.wait()
            finally:
                self._idle -= 1
            return None if self._is_shut_down else self._waiting.popleft()

    def _compute(self, job: _Job, slot: Slot) -> None:
        try:
            computed = slot.compute(job.request, job.assign)
        except _CancelledError:
            return
        except Exception as error:  # the request cannot be sent
            slot.close()
            computed = [Computed(error=not_started(described(error))) for _ in job.request.refs]
        with self._changed:
            self._jobs.pop(job.request, None)
        try:
            job.finish(computed)
        except Exception:
            logger.exception("the outcomes of isolated computations could not be reported")
