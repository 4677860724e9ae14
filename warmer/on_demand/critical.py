"""One on-demand run over all critical targets: requests them, and waits for their outcomes.

Workers compute them. While no worker is alive this process does, so that an application can warm up before its fleet.
"""

import logging
import time
from functools import partial
from secrets import token_hex
from typing import Any

from warmer.clock import Clock
from warmer.engine.claims import Claims, computed_here
from warmer.engine.drain_queue import DrainQueue
from warmer.refresh.lease_renewal import LeaseRenewer
from warmer.results import CriticalTask, CriticalWarming
from warmer.store import Capacity, Result, Store

logger = logging.getLogger("warmer.on_demand")

CHECK_INTERVAL_S = 0.5
"""Time between two checks whether workers are still alive, while it waits."""

PAUSE_S = 0.05
EXTRA_WATCH_S = 60.0
"""Redis reports outcomes for this long after the time-out."""


class CriticalRun:
    """One run over all critical targets.

    Args:
        store: Accepts requests, and reports outcomes.
        claims: Claims and refreshes targets in this process, while no worker is alive.
        renewer: Renews these claims while their values are computed.
        queue: Wakes the workers.
        clock: Measures the time.
    """

    def __init__(self, store: Store, claims: Claims, renewer: LeaseRenewer, queue: DrainQueue, clock: Clock) -> None:
        self._store = store
        self._claims = claims
        self._renewer = renewer
        self._queue = queue
        self._clock = clock
        self._watcher = token_hex(16)
        self._outcomes: dict[str, dict[str, Any]] = {}
        self._unknown: set[str] = set()

    def warm(self, timeout_s: float, force: bool) -> CriticalWarming:
        """Request all critical targets, and wait for their outcomes.

        Args:
            timeout_s: The longest time to wait, in seconds.
            force: Whether to compute even if the present value is fresh.

        Returns:
            The outcome of each target; one without an outcome in time counts as failed.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        started_s = self._clock.monotonic_s()
        critical = self._store.tasks.critical_ids()
        answers = self._store.requests.submit(
            critical, force=force, watcher=self._watcher, watch_s=timeout_s + EXTRA_WATCH_S
        )
        refs = [ref for ref, answer in zip(critical, answers, strict=True) if answer == "asked"]
        self._queue.hint(min(len(self._store.fleet.live_workers()), len(refs)))
        self._wait(refs, started_s + timeout_s)
        return self._report(refs, timeout_s, 1000 * (self._clock.monotonic_s() - started_s))

    def _wait(self, refs: list[str], deadline_s: float) -> None:
        """Wait for workers, or compute here while none is alive, until every target has an outcome."""
        while not self._has_all(refs) and self._clock.monotonic_s() < deadline_s:
            if self._store.fleet.live_workers():
                remaining_s = deadline_s - self._clock.monotonic_s()
                self._collect_outcomes(min(CHECK_INTERVAL_S, remaining_s))
            elif self._unknown.issuperset(ref for ref in refs if ref not in self._outcomes):
                return
            else:
                self._warm_one_here([ref for ref in refs if ref not in self._outcomes])

    def _warm_one_here(self, refs: list[str]) -> None:
        self._store.refreshes.tick()
        taken = self._claims.take(Capacity(threads=1), self._unknown, only=refs)
        self._unknown |= taken.unknown_ids
        if not taken.claimed:
            time.sleep(PAUSE_S)  # a reader computes it, or a dead worker's claim has not expired yet
        for work in taken.works:
            with self._renewer.holding(partial(self._claims.renew, [work])):
                self._claims.publish([work], [computed_here(work)])
        self._collect_outcomes(0)

    def _collect_outcomes(self, wait_s: float) -> None:
        outcome = self._store.requests.next_outcome(self._watcher, wait_s)
        while outcome is not None:
            self._outcomes[outcome["ref"]] = outcome
            outcome = self._store.requests.next_outcome(self._watcher, 0)

    def _has_all(self, refs: list[str]) -> bool:
        return all(ref in self._outcomes for ref in refs)

    def _report(self, refs: list[str], timeout_s: float, total_duration_ms: float) -> CriticalWarming:
        records = self._store.tasks.definitions_of(refs)
        results = [self._outcomes[ref]["result"] for ref in refs if ref in self._outcomes]
        succeeded, skipped = results.count(Result.PUBLISHED), results.count(Result.FRESH)
        return CriticalWarming(
            total=len(refs),
            succeeded=succeeded,
            failed=len(refs) - succeeded - skipped,
            skipped=skipped,
            tasks=[
                self._task_report(ref, record["name"] if record else ref, timeout_s)
                for ref, record in zip(refs, records, strict=True)
            ],
            total_duration_ms=total_duration_ms,
        )

    def _task_report(self, ref: str, name: str, timeout_s: float) -> CriticalTask:
        outcome = self._outcomes.get(ref)
        if outcome is None:
            error = f"not finished within {timeout_s:g} s"
            if ref in self._unknown:
                error = "no worker is alive, and this process does not know the task"
            return CriticalTask(task_id=ref, name=name, success=False, duration_ms=0.0, error=error)
        success = outcome["result"] in (Result.PUBLISHED, Result.FRESH)
        return CriticalTask(
            task_id=ref,
            name=name,
            success=success,
            duration_ms=outcome["duration_ms"],
            error=None if success else outcome["error"],
        )
