"""Drain loop: claims ready targets in order of priority, and keeps the executors of a worker busy until time is up."""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from redis.exceptions import RedisError

from warmer.engine.claims import ClaimedBatch
from warmer.outage import Outage
from warmer.refresh.refreshed import Computed
from warmer.refresh.request import LeasedWork
from warmer.store import Capacity
from warmer_workers.completer import Completer
from warmer_workers.computation import Computation, ExecutorKind, ExecutorKinds, computations_of
from warmer_workers.executors.event_loop import EventLoopExecutor
from warmer_workers.executors.isolated import IsolatedExecutor
from warmer_workers.executors.threads import ThreadExecutor
from warmer_workers.heartbeat import Heartbeat
from warmer_workers.job_context import JobContext
from warmer_workers.prefetch import Prefetch

logger = logging.getLogger("warmer.drain")

POLL_INTERVAL_S = 0.04
"""Time between two looks for ready targets, and for overdue computations."""

MAX_CLAIMED = 400
"""Maximum number of computations of one claim; more would block Redis for too long."""

MAX_QUEUED_S = 0.1
"""Claims that waited longer here are given back: another worker may be free, or a more urgent target may be ready."""

MAX_WAIT_S = 0.2
MAX_FULL_WAIT_S = 1.0
"""A drain whose time is up waits this long for its last computations, then it claims again while they run.

If all its threads are busy, it waits longer, because it could claim little.
"""

MAX_BLOCKED_S = 1.0
"""An overdue coroutine gets this much more time while another one blocks its event loop."""

OUTAGE_PAUSE_S = 1.0


class Drain:
    """One drain: claims and computes until its time is up, as many targets at once as the worker has capacity for.

    Args:
        context: The context of the job.
    """

    def __init__(self, context: JobContext) -> None:
        runtime = context.runtime
        self._context = context
        self._store = runtime.store
        self._claims = runtime.claims
        self._settings = runtime.settings
        self._clock = runtime.clock
        self._renewer = runtime.refresher.renewer
        self._executor_kinds = ExecutorKinds()
        self._running: dict[Computation, None] = {}
        self._wake = threading.Event()
        self._completer = Completer(runtime.claims, self._on_completed)
        self._threads = ThreadExecutor(self._settings.concurrency, self._wake.set, self._on_computed)
        self._loop: EventLoopExecutor | None = None
        self._isolated: IsolatedExecutor | None = None
        self._prefetch = Prefetch(self._settings.concurrency)
        self._heartbeat = Heartbeat(context.extend_deadline, self._running)
        self._unknown: set[str] = set()
        self._claim_from_s = dict.fromkeys(ExecutorKind, 0.0)
        self._blocked = 0
        self._abandoned = 0
        self._max_abandoned = self._settings.concurrency
        self._done = 0
        self._outage = Outage(logger, "Redis is away or refuses (%s); claims expire")
        self._may_wait = True

    def run(self) -> int:
        """Run until the drain ends; returns how many targets were refreshed."""
        with self._heartbeat.beating():
            try:
                with self._renewer.holding(self._renew):
                    self._work()
            finally:
                for executor in (self._threads, self._loop, self._isolated, self._completer):
                    if executor is not None:
                        executor.shutdown()
        return self._done

    # --- loop --------------------------------------------------------------------------------------------------
    def _work(self) -> None:
        now_s = self._clock.monotonic_s()
        deadline_s = now_s + self._settings.drain_time_s
        last_s = deadline_s + self._settings.max_task_s
        grace_until_s: float | None = None
        while True:
            now_s = self._clock.monotonic_s()
            self._heartbeat.loop_ran(now_s)
            if self._context.stop.is_set() and grace_until_s is None:
                grace_until_s = now_s + self._settings.shutdown_grace_s
            if self._abandoned >= self._max_abandoned:  # many threads hang: a new process is better
                self._max_abandoned = self._abandoned + self._settings.concurrency
                deadline_s, self._may_wait = now_s, True
            is_over = grace_until_s is not None or now_s > last_s
            is_time_up = is_over or self._waits_for_running(now_s - deadline_s)
            if is_time_up:
                self._give_back(self._threads.withdraw())
            else:
                self._claim(now_s)
            self._check(now_s)
            if not self._running and (is_time_up or now_s >= deadline_s or self._is_burst_over()):
                return
            if grace_until_s is not None and now_s >= grace_until_s:
                self._give_back(list(self._running))
                return
            self._wake.wait(POLL_INTERVAL_S)
            self._wake.clear()

    def _waits_for_running(self, over_s: float) -> bool:
        """Return whether to wait instead of claiming, `over_s` after the end of the drain's time."""
        if over_s < 0 or not self._running:
            return over_s >= 0
        busy = sum(computation.kind is ExecutorKind.THREAD for computation in list(self._running))
        is_full = busy >= self._settings.concurrency
        self._may_wait = self._may_wait and over_s < (MAX_FULL_WAIT_S if is_full else MAX_WAIT_S)
        return self._may_wait

    def _is_burst_over(self) -> bool:
        """Return whether a burst is over: nothing runs or waits here, and the last claim found nothing in Redis."""
        has_none = not self._outage.is_on and all(self._claim_from_s.values()) and not self._blocked
        return self._context.is_burst and has_none and not self._completer.is_busy

    def _check(self, now_s: float) -> None:
        if self._isolated is not None:
            self._isolated.update_starts()
        self._abandon_overdue(now_s)
        if any(now_s - computation.taken_s > MAX_QUEUED_S for computation in list(self._threads.waiting)):
            self._give_back(self._threads.withdraw())
            self._prefetch.forget()
            self._threads.low_water = self._prefetch.low_water

    # --- claiming ----------------------------------------------------------------------------------------------
    def _claim(self, now_s: float) -> None:
        """Claim for the capacity that is free now or soon."""
        while True:
            wanted = self._wanted(now_s)
            if not any(wanted.values()):
                return
            capacity = Capacity(wanted[ExecutorKind.THREAD], wanted[ExecutorKind.LOOP], wanted[ExecutorKind.PROCESS])
            try:
                taken = self._claims.take(capacity, self._unknown, drain_id=self._context.drain_id)
            except RedisError as error:
                self._outage.begin(error)
                self._claim_from_s = dict.fromkeys(ExecutorKind, now_s + OUTAGE_PAUSE_S)
                return
            if self._outage.is_on:
                self._outage.end()
            self._begin(taken, wanted, now_s)
            now_s = self._clock.monotonic_s()

    def _wanted(self, now_s: float) -> dict[ExecutorKind, int]:
        """Return how many computations to claim for each executor; 0 where the last claim has just found none."""
        running = dict.fromkeys(ExecutorKind, 0)
        for computation in list(self._running):
            running[computation.kind] += 1
        free = {
            ExecutorKind.THREAD: self._prefetch.wanted(running[ExecutorKind.THREAD]),
            ExecutorKind.LOOP: self._settings.async_concurrency - running[ExecutorKind.LOOP],
            ExecutorKind.PROCESS: self._settings.isolated_processes - running[ExecutorKind.PROCESS],
        }
        return {
            kind: max(0, min(free[kind], MAX_CLAIMED)) if now_s >= self._claim_from_s[kind] else 0
            for kind in ExecutorKind
        }

    def _begin(self, taken: ClaimedBatch, wanted: dict[ExecutorKind, int], now_s: float) -> None:
        for task_id in taken.unknown_ids:
            self._skip_unknown(task_id)
        self._blocked = taken.blocked
        self._done += len(taken.ended)
        computations = computations_of(taken.works, self._executor_kinds, self._settings.max_task_s, now_s)
        begun = dict.fromkeys(ExecutorKind, 0)
        self._running.update(dict.fromkeys(computations))
        for kind, group in groupby(computations, key=lambda computation: computation.kind):
            calls = list(group)
            begun[kind] += len(calls)
            self._executor_of(kind).submit(calls)
        for kind, requested in wanted.items():
            if requested:
                has_none = requested > begun[kind] and taken.claimed == len(taken.works)
                self._claim_from_s[kind] = now_s + POLL_INTERVAL_S if has_none else 0.0

    def _executor_of(self, kind: ExecutorKind) -> ThreadExecutor | EventLoopExecutor | IsolatedExecutor:
        """Return where computations of a kind run; the event loop and the processes are made when first needed."""
        if kind is ExecutorKind.THREAD:
            return self._threads
        if kind is ExecutorKind.LOOP:
            self._loop = self._loop or EventLoopExecutor(self._on_computed)
            return self._loop
        self._isolated = self._isolated or IsolatedExecutor(self._settings, self._on_computed)
        return self._isolated

    def _skip_unknown(self, task_id: str) -> None:
        self._unknown.add(task_id)
        if self._store.fleet.is_first_meeting(self._context.worker, task_id):
            logger.warning(
                "worker %s does not know task %r and leaves it to other workers; start it with --import of the module "
                "that registers this task, in the same version",
                self._context.worker,
                task_id,
            )

    # --- outcomes ----------------------------------------------------------------------------------------------
    def _on_computed(self, computation: Computation, computed: list[Computed]) -> None:
        """Pass an outcome to the completer, unless the computation was abandoned before."""
        if self._running.pop(computation, computation) is None:
            self._completer.add(computation, computed)

    def _on_completed(self, done: Sequence[tuple[LeasedWork, Computed]]) -> None:
        self._done += len(done)
        self._prefetch.learn([computed.duration_s for _, computed in done])
        self._threads.low_water = self._prefetch.low_water
        if self._blocked:  # a limit may now admit more targets
            self._claim_from_s = dict.fromkeys(ExecutorKind, 0.0)
        if self._blocked or not self._running:
            self._wake.set()

    def _abandon_overdue(self, now_s: float) -> None:
        for computation in list(self._running):
            is_overdue = now_s > computation.overdue_s and not self._is_blocked(computation, now_s)
            if is_overdue and self._running.pop(computation, computation) is None:
                self._abandon(computation, now_s)

    def _is_blocked(self, computation: Computation, now_s: float) -> bool:
        """Return whether another computation blocks the event loop; it will be overdue soon, and is the cause."""
        if computation.kind is not ExecutorKind.LOOP or now_s > computation.overdue_s + MAX_BLOCKED_S:
            return False
        return self._loop is not None and self._loop.current not in (None, computation)

    def _abandon(self, computation: Computation, now_s: float) -> None:
        self._executor_of(computation.kind).abandon(computation)
        if computation.kind is ExecutorKind.THREAD:
            self._abandoned += 1
        if computation.kind is ExecutorKind.LOOP:  # it blocks all others on the loop
            self._give_back([other for other in self._running if other.kind is ExecutorKind.LOOP])
            self._claim_from_s[ExecutorKind.LOOP] = 0.0
        error = f"ComputeTimeoutError: took longer than its timeout_s of {computation.timeout_s:g} s"
        elapsed_ms = 1000 * (now_s - (computation.started_s or now_s))
        self._try(lambda: self._claims.give_up(computation.works, error, elapsed_ms))

    def _give_back(self, computations: Iterable[Computation]) -> None:
        ours = [one for one in computations if self._running.pop(one, one) is None]
        if ours:
            self._try(lambda: self._claims.give_back([work for one in ours for work in one.works]))

    def _renew(self) -> None:
        held = [work for computation in list(self._running) for work in computation.works]
        held += self._completer.works()
        if not held:
            return
        lost = self._claims.renew(held)
        still = {work.ref for computation in list(self._running) for work in computation.works}
        if lost_here := sorted(still.intersection(lost)):  # others were only completed since
            logger.warning("claims were lost, their values will not be written: %s", ", ".join(lost_here))

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except RedisError as error:
            self._outage.begin(error)
