"""Warms all critical targets and waits: by the workers, or here when none is alive."""

import logging
from functools import partial
from secrets import token_hex
from typing import Any

from warmer.clock import Clock
from warmer.queue import DrainQueue
from warmer.refresh import Refresher
from warmer.registry import Registry
from warmer.results import CriticalTask, CriticalWarming
from warmer.store import Result, Store

logger = logging.getLogger("warmer.critical")


class CriticalRun:
    """One run over all critical targets.

    Args:
        store: Where targets and outcomes are.
        registry: The tasks that this process knows.
        refresher: The refresh routine, for when this process has to do it.
        queue: Where workers are asked.
        clock: Measures the time.
    """

    def __init__(self, store: Store, registry: Registry, refresher: Refresher, queue: DrainQueue, clock: Clock) -> None:
        """Start with nothing asked."""
        self._store = store
        self._registry = registry
        self._refresher = refresher
        self._queue = queue
        self._clock = clock
        self._watcher = token_hex(16)
        self._outcomes: dict[str, dict[str, Any]] = {}

    def warm(self, timeout_s: float, force: bool) -> CriticalWarming:
        """Ask for all critical targets, and wait for their outcomes.

        Args:
            timeout_s: How long to wait at most.
            force: Whether to compute even what is fresh.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        started_s = self._clock.monotonic_s()
        deadline_s = started_s + timeout_s
        refs = self._store.critical_ids()
        self._store.request(refs, force=force, watcher=self._watcher)
        workers = self._store.live_workers()
        if workers:
            self._queue.hint(min(len(workers), len(refs)))
            self._wait(refs, deadline_s)
        else:
            self._warm_here(refs, deadline_s)
        return self._report(refs, timeout_s, 1000 * (self._clock.monotonic_s() - started_s))

    def _wait(self, refs: list[str], deadline_s: float) -> None:
        while len(self._outcomes) < len(refs):
            remaining_s = deadline_s - self._clock.monotonic_s()
            if remaining_s <= 0:
                return
            outcome = self._store.next_outcome(self._watcher, remaining_s)
            if outcome is not None:
                self._outcomes[outcome["ref"]] = outcome

    def _warm_here(self, refs: list[str], deadline_s: float) -> None:
        """Drain what is ready, best first, until all that was asked for has an outcome."""
        unknown: set[str] = set()
        while len(self._outcomes) < len(refs) and self._clock.monotonic_s() < deadline_s:
            batch = self._store.claim(1, unknown)
            if not batch.claims:
                return
            (claim,) = batch.claims
            target = self._refresher.target_of(claim)
            if target is None:
                self._store.give_back(claim.ref, batch.token)
                unknown.add(claim.ref.partition("{")[0])
                continue
            with self._refresher.renewer.holding(partial(self._store.renew_claims, batch.token, [claim.ref])):
                self._refresher.carry_out(claim, batch, target)
            self._collect()

    def _collect(self) -> None:
        outcome = self._store.next_outcome(self._watcher, 0.01)
        if outcome is not None:
            self._outcomes[outcome["ref"]] = outcome

    def _report(self, refs: list[str], timeout_s: float, total_duration_ms: float) -> CriticalWarming:
        names = self._store.definitions_of(refs)
        tasks = [
            self._task_report(ref, record["name"] if record else ref, timeout_s)
            for ref, record in zip(refs, names, strict=True)
        ]
        skipped = sum(outcome["result"] == Result.FRESH for outcome in self._outcomes.values())
        succeeded = sum(outcome["result"] == Result.PUBLISHED for outcome in self._outcomes.values())
        return CriticalWarming(
            total=len(refs),
            succeeded=succeeded,
            failed=len(refs) - succeeded - skipped,
            skipped=skipped,
            tasks=tasks,
            total_duration_ms=total_duration_ms,
        )

    def _task_report(self, ref: str, name: str, timeout_s: float) -> CriticalTask:
        outcome = self._outcomes.get(ref)
        if outcome is None:
            known = self._registry.get(ref) is not None
            why = f"not finished within {timeout_s:g} s"
            if not known and not self._store.live_workers():
                why = "no worker is alive, and this process does not know the task"
            return CriticalTask(task_id=ref, name=name, success=False, duration_ms=0.0, error=why)
        success = outcome["result"] in (Result.PUBLISHED, Result.FRESH)
        return CriticalTask(
            task_id=ref,
            name=name,
            success=success,
            duration_ms=outcome["duration_ms"],
            error=None if success else outcome["error"],
        )
