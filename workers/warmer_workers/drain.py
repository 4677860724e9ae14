"""Claims ready targets and refreshes them concurrently, until none is ready or time is up."""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from redis.exceptions import RedisError

from warmer.client import Warmer
from warmer.errors import WarmerError, described
from warmer.store import Batch, Claim
from warmer.task import Target, parse_ref

logger = logging.getLogger("warmer.drain")

LOOK_EVERY_S = 0.05
"""How often a busy drain looks for more work and for overdue computations."""

GRACE_S = 0.25
"""A coroutine is cancelled at its time-out; only what does not end by itself then is given up."""


@dataclass(eq=False, slots=True)
class Running:
    """A claimed target whose computation runs.

    Args:
        claim: The claim.
        batch: What it was claimed with.
        target: What is computed.
        started_s: When, on the monotonic clock.
    """

    claim: Claim
    batch: Batch
    target: Target
    started_s: float


class Drain:
    """One drain: as many computations at once as the worker has threads, always the best of what is ready.

    Args:
        warmer: With the tasks that this process knows.
        worker: The worker's name.
        stop: When set, nothing more is claimed, and what runs is finished.
    """

    def __init__(self, warmer: Warmer, worker: str, stop: threading.Event) -> None:
        """Prepare; nothing is claimed yet."""
        self._store = warmer.store
        self._claims = warmer.claims
        self._renewer = warmer.refresher.renewer
        self._settings = warmer.settings
        self._clock = warmer.clock
        self._worker = worker
        self._stop = stop
        self._running: set[Running] = set()
        self._finished: SimpleQueue[Running] = SimpleQueue()
        self._threads = Threads()
        self._unknown: set[str] = set()
        self._done = 0

    def run(self) -> int:
        """Drain; returns how many targets were refreshed.

        Raises:
            redis.RedisError: Redis did not answer; claims that are still open lapse.
        """
        deadline_s = self._clock.monotonic_s() + self._settings.drain_s
        try:
            with self._renewer.holding(self._renew_claims):
                while True:
                    may_claim = not self._stop.is_set() and self._clock.monotonic_s() < deadline_s
                    if may_claim:
                        self._fill()
                    if not self._running:
                        return self._done
                    self._await_one()
                    self._give_up_overdue()
        finally:
            self._threads.dismiss()

    def _fill(self) -> None:
        """Claim as many targets as threads are free."""
        free = self._settings.concurrency - len(self._running)
        while free > 0:
            batch = self._store.claim(free, self._unknown)
            for claim in batch.claims:
                self._begin(claim, batch)
            if len(batch.claims) < free:
                return
            free = self._settings.concurrency - len(self._running)

    def _begin(self, claim: Claim, batch: Batch) -> None:
        try:
            target = self._claims.target_of(claim)
        except WarmerError as error:
            self._claims.refuse(claim, batch, error)
            return
        if target is None:
            self._leave_to_others(claim, batch)
            return
        running = Running(claim, batch, target, self._clock.monotonic_s())
        self._running.add(running)
        self._threads.do(lambda: self._carry_out(running))

    def _carry_out(self, running: Running) -> None:
        try:
            self._claims.carry_out(running.claim, running.batch, running.target)
        except RedisError as error:
            logger.warning("%s: left to lapse, Redis is away: %s", running.claim.ref, described(error))
        finally:
            self._finished.put(running)

    def _leave_to_others(self, claim: Claim, batch: Batch) -> None:
        task_id, _ = parse_ref(claim.ref)
        self._unknown.add(task_id)
        self._store.give_back(claim.ref, batch.token)
        if self._store.is_first_meeting(self._worker, task_id):
            logger.warning(
                "worker %s does not know task %r and leaves it to others; start it with --import of the module "
                "that registers this task, in the same version",
                self._worker,
                task_id,
            )

    def _await_one(self) -> None:
        try:
            finished = self._finished.get(timeout=LOOK_EVERY_S)
        except Empty:
            return
        if finished in self._running:  # else it had been given up
            self._running.discard(finished)
            self._done += 1

    def _give_up_overdue(self) -> None:
        now_s = self._clock.monotonic_s()
        for running in list(self._running):
            limit_s = min(running.target.task.timeout_s, self._settings.longest_task_s)
            elapsed_s = now_s - running.started_s
            if elapsed_s > limit_s + GRACE_S:
                self._running.discard(running)
                error = f"ComputeTimeoutError: took longer than its timeout_s of {limit_s:g} s"
                self._claims.give_up(running.claim, running.batch, running.target, error, 1000 * elapsed_s)

    def _renew_claims(self) -> None:
        refs_by_token = defaultdict(list)
        for running in list(self._running):
            refs_by_token[running.batch.token].append(running.claim.ref)
        for token, refs in refs_by_token.items():
            lost = set(self._store.renew_claims(token, refs)) & {running.claim.ref for running in list(self._running)}
            if lost:  # and not merely completed since
                logger.warning("claims were lost, nothing of them will be written: %s", ", ".join(sorted(lost)))


class Threads:
    """Daemon threads that are reused; one that hangs is never waited for."""

    def __init__(self) -> None:
        """Start without threads."""
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0

    def do(self, action: Callable[[], None]) -> None:
        """Run an action in a thread, a new one if none is idle."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            else:
                threading.Thread(target=self._run, name="warmer-drain", daemon=True).start()
        self._work.put(action)

    def dismiss(self) -> None:
        """Let all threads end after their present action."""
        self._work.put(None)

    def _run(self) -> None:
        while True:
            action = self._work.get()
            if action is None:
                self._work.put(None)  # for the next thread
                return
            action()
            with self._lock:
                self._idle += 1
