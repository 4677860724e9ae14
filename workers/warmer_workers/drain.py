"""Keeps a worker's threads, its event loop and its processes busy with the best of what is ready, until time is up."""

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

LOOK_EVERY_S = 0.04
"""How often a drain looks for what has become ready, and for overdue computations."""

MOST_AT_ONCE = 400
"""More computations in one claim would hold Redis up."""

STUCK_S = 0.1
"""What has waited here for longer is given back: others may have a thread free, or something more urgent came."""

PATIENCE_S = 0.2
FULL_PATIENCE_S = 1.0
"""A drain whose time is up, and that still waits for a long computation, goes on claiming in the meantime.

While all its threads are busy it misses less by waiting, and does so for longer.
"""

HELD_UP_S = 1.0
"""What is overdue on an event loop that another blocks is not blamed for so long."""

AFTER_OUTAGE_S = 1.0


class Drain:
    """One drain: as many computations at once as the worker has places for.

    Args:
        post: For whom, and until when.
    """

    def __init__(self, post: JobContext) -> None:
        """Prepare; nothing is claimed yet."""
        runtime = post.runtime
        self._post = post
        self._store = runtime.store
        self._claims = runtime.claims
        self._settings = runtime.settings
        self._clock = runtime.clock
        self._renewer = runtime.refresher.renewer
        self._kinds = ExecutorKinds()
        self._running: dict[Computation, None] = {}
        self._wake = threading.Event()
        self._finishing = Completer(runtime.claims, self._ended)
        self._threads = ThreadExecutor(self._settings.concurrency, self._wake.set, self._computed)
        self._loop = EventLoopExecutor(self._computed)
        self._isolation = IsolatedExecutor(self._settings, self._computed)
        self._ahead = Prefetch(self._settings.concurrency)
        self._heart = Heartbeat(post.extend_deadline, self._running)
        self._unknown: set[str] = set()
        self._look_again_s = dict.fromkeys(ExecutorKind, 0.0)
        self._held = 0
        self._left_behind = 0
        self._worn_out_at = self._settings.concurrency
        self._done = 0
        self._outage = Outage(logger, "Redis is away or refuses (%s); what is claimed lapses")
        self._is_patient = True

    def run(self) -> int:
        """Drain; returns how many targets were refreshed."""
        with self._heart.beating():
            try:
                with self._renewer.holding(self._renew):
                    self._work()
            finally:
                for part in (self._threads, self._loop, self._isolation, self._finishing):
                    part.dismiss()
        return self._done

    # --- the turns ---------------------------------------------------------------------------------------------
    def _work(self) -> None:
        now_s = self._clock.monotonic_s()
        deadline_s = now_s + self._settings.drain_time_s
        last_s = deadline_s + self._settings.max_task_s
        grace_until_s: float | None = None
        while True:
            now_s = self._clock.monotonic_s()
            self._heart.loop_ran(now_s)
            if self._post.stop.is_set() and grace_until_s is None:
                grace_until_s = now_s + self._settings.shutdown_grace_s
            if self._left_behind >= self._worn_out_at:  # so many threads hang that a new process would be better
                self._worn_out_at = self._left_behind + self._settings.concurrency
                deadline_s, self._is_patient = now_s, True
            is_over = grace_until_s is not None or now_s > last_s
            is_time_up = is_over or self._waits_for_its_end(now_s - deadline_s)
            if is_time_up:
                self._give_back(self._threads.take_back())
            else:
                self._fill(now_s)
            self._look_after(now_s)
            if not self._running and (is_time_up or now_s >= deadline_s or self._has_nothing_left()):
                return
            if grace_until_s is not None and now_s >= grace_until_s:
                self._give_back(list(self._running))
                return
            self._wake.wait(LOOK_EVERY_S)
            self._wake.clear()

    def _waits_for_its_end(self, over_s: float) -> bool:
        """Say whether to claim no more, since time has been up for so long; once it has lost patience, it goes on."""
        if over_s < 0 or not self._running:
            return over_s >= 0
        busy = sum(computation.kind is ExecutorKind.THREAD for computation in list(self._running))
        is_full = busy >= self._settings.concurrency
        self._is_patient = self._is_patient and over_s < (FULL_PATIENCE_S if is_full else PATIENCE_S)
        return self._is_patient

    def _has_nothing_left(self) -> bool:
        """Say whether a burst is over: there is nothing here, and the last look has found nothing there either."""
        is_dry = not self._outage.is_on and all(self._look_again_s.values()) and not self._held
        return self._post.is_burst and is_dry and not self._finishing.is_busy

    def _look_after(self, now_s: float) -> None:
        self._isolation.look()
        self._give_up_overdue(now_s)
        if any(now_s - computation.taken_s > STUCK_S for computation in list(self._threads.waiting)):
            self._give_back(self._threads.take_back())
            self._ahead.forget()
            self._threads.low_water = self._ahead.low_water

    # --- claiming ----------------------------------------------------------------------------------------------
    def _fill(self, now_s: float) -> None:
        """Claim for the places that are free, or are about to be."""
        while True:
            wanted = self._wanted(now_s)
            if not any(wanted.values()):
                return
            places = Capacity(wanted[ExecutorKind.THREAD], wanted[ExecutorKind.LOOP], wanted[ExecutorKind.PROCESS])
            try:
                taken = self._claims.take(places, self._unknown, drain_id=self._post.drain_id)
            except RedisError as error:
                self._outage.begin(error)
                self._look_again_s = dict.fromkeys(ExecutorKind, now_s + AFTER_OUTAGE_S)
                return
            self._outage.end()
            self._begin(taken, wanted, now_s)
            now_s = self._clock.monotonic_s()

    def _wanted(self, now_s: float) -> dict[ExecutorKind, int]:
        """Return how many computations of each kind may begin, of those kinds for which it is worth asking now."""
        running = dict.fromkeys(ExecutorKind, 0)
        for computation in list(self._running):
            running[computation.kind] += 1
        free = {
            ExecutorKind.THREAD: self._ahead.wanted(running[ExecutorKind.THREAD]),
            ExecutorKind.LOOP: self._settings.async_concurrency - running[ExecutorKind.LOOP],
            ExecutorKind.PROCESS: self._settings.isolated_processes - running[ExecutorKind.PROCESS],
        }
        return {
            kind: max(0, min(free[kind], MOST_AT_ONCE)) if now_s >= self._look_again_s[kind] else 0
            for kind in ExecutorKind
        }

    def _begin(self, taken: ClaimedBatch, wanted: dict[ExecutorKind, int], now_s: float) -> None:
        for task_id in taken.unknown_ids:
            self._leave_to_others(task_id)
        self._held = taken.held
        self._done += len(taken.ended)
        computations = computations_of(taken.works, self._kinds, self._settings.max_task_s, now_s)
        begun = dict.fromkeys(ExecutorKind, 0)
        self._running.update(dict.fromkeys(computations))
        for kind, group in groupby(computations, key=lambda computation: computation.kind):
            calls = list(group)
            begun[kind] += len(calls)
            self._pool_of(kind).do(calls)
        for kind, asked_for in wanted.items():
            if asked_for:
                is_dry = asked_for > begun[kind] and taken.claimed == len(taken.works)
                self._look_again_s[kind] = now_s + LOOK_EVERY_S if is_dry else 0.0

    def _pool_of(self, kind: ExecutorKind) -> "ThreadExecutor | EventLoopExecutor | IsolatedExecutor":
        if kind is ExecutorKind.THREAD:
            return self._threads
        return self._loop if kind is ExecutorKind.LOOP else self._isolation

    def _leave_to_others(self, task_id: str) -> None:
        self._unknown.add(task_id)
        if self._store.fleet.is_first_meeting(self._post.worker, task_id):
            logger.warning(
                "worker %s does not know task %r and leaves it to others; start it with --import of the module "
                "that registers this task, in the same version",
                self._post.worker,
                task_id,
            )

    # --- what becomes of computations --------------------------------------------------------------------------
    def _computed(self, computation: Computation, computed: list[Computed]) -> None:
        """Hand on what came of a computation, unless it was given up meanwhile."""
        if self._running.pop(computation, computation) is None:
            self._finishing.add(computation, computed)

    def _ended(self, done: Sequence[tuple[LeasedWork, Computed]]) -> None:
        self._done += len(done)
        self._ahead.learn([computed.duration_s for _, computed in done])
        self._threads.low_water = self._ahead.low_water
        if self._held:  # what was held may go on now
            self._look_again_s = dict.fromkeys(ExecutorKind, 0.0)
        if self._held or not self._running:
            self._wake.set()

    def _give_up_overdue(self, now_s: float) -> None:
        for computation in list(self._running):
            is_to_end = now_s > computation.overdue_s and not self._is_held_up(computation, now_s)
            if is_to_end and self._running.pop(computation, computation) is None:
                self._give_up(computation, now_s)

    def _is_held_up(self, computation: Computation, now_s: float) -> bool:
        """Say whether another blocks the event loop, which will be overdue in a moment: that is the one to blame."""
        if computation.kind is not ExecutorKind.LOOP or now_s > computation.overdue_s + HELD_UP_S:
            return False
        return self._loop.at_work not in (None, computation)

    def _give_up(self, computation: Computation, now_s: float) -> None:
        self._pool_of(computation.kind).leave_behind(computation)
        if computation.kind is ExecutorKind.THREAD:
            self._left_behind += 1
        if computation.kind is ExecutorKind.LOOP:  # it blocks them all
            self._give_back([other for other in self._running if other.kind is ExecutorKind.LOOP])
            self._look_again_s[ExecutorKind.LOOP] = 0.0
        error = f"ComputeTimeoutError: took longer than its timeout_s of {computation.timeout_s:g} s"
        elapsed_ms = 1000 * (now_s - (computation.started_s or now_s))
        self._try(lambda: self._claims.give_up(computation.works, error, elapsed_ms))

    def _give_back(self, computations: Iterable[Computation]) -> None:
        ours = [one for one in computations if self._running.pop(one, one) is None]
        if ours:
            self._try(lambda: self._claims.give_back([work for one in ours for work in one.works]))

    def _renew(self) -> None:
        held = [work for computation in list(self._running) for work in computation.works]
        held += self._finishing.works()
        if not held:
            return
        lost = self._claims.renew(held)
        still = {work.ref for computation in list(self._running) for work in computation.works}
        if lost_here := sorted(still.intersection(lost)):  # and not merely completed since
            logger.warning("claims were lost, nothing of them will be written: %s", ", ".join(lost_here))

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except RedisError as error:
            self._outage.begin(error)
