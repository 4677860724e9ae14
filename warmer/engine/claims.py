"""Claims: takes ready targets with their leases, in batches, publishes their values, and completes the claims.

The caller computes in between: a worker, the embedded worker, a test, or an on-demand run.
"""

import logging
import shlex
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from warmer.codec.entry import Header, Origin
from warmer.engine.next_due import NextDue, due_after_rejection, next_due, outcome_of
from warmer.errors import WarmerError, described
from warmer.refresh.cache_options import CacheOptions, TaskCacheOptions
from warmer.refresh.effects import run
from warmer.refresh.read_counter import uncounted_reads
from warmer.refresh.refreshed import Computed, Refreshed
from warmer.refresh.refresher import Refresher, computing_values, is_fresh
from warmer.refresh.request import CacheRequest, LeasedWork, leases_of
from warmer.settings import Settings
from warmer.store import Capacity, Claim, ClaimBatch, Outcome, Result, Store, Timing
from warmer.tasks.loading import late_function_of
from warmer.tasks.registry import Registry
from warmer.tasks.switch import Switch
from warmer.tasks.target import task_id_of
from warmer.tasks.task import WarmingTask

logger = logging.getLogger("warmer.refresh")


class TaskRuntime(NamedTuple):
    """A task as this process computes it.

    Args:
        task: The task, as this process knows it.
        function: Computes a value.
        find_options: Returns the cache options.
    """

    task: WarmingTask
    function: Callable[..., Any]
    find_options: Callable[[], CacheOptions]

    def request_for(self, ref: str) -> CacheRequest:
        """Return the request for a target.

        Raises:
            InvalidTaskError: the ref does not fit the task.
        """
        target = self.task.target_of_ref(ref)
        return CacheRequest(target.cache_key, ref, self.find_options, self.function, target.arguments, target)


class ClaimedBatch(NamedTuple):
    """Result of one call of `Claims.take`.

    Args:
        works: The works to compute, most urgent first; those of one batch are adjacent.
        ended: Refreshes that ended at once: the value is fresh, another process computes it, or it cannot be computed.
        unknown_ids: Ids of tasks that this process does not know; their targets were given back.
        claimed: Number of claimed targets.
        blocked: Number of tasks with ready targets that must wait, for example for a limit.
    """

    works: list[LeasedWork]
    ended: list[Refreshed]
    unknown_ids: frozenset[str]
    claimed: int
    blocked: int


class Claims:
    """Takes, renews, completes and gives back claims.

    Args:
        store: Holds the claims.
        registry: The functions of this process.
        cache_options: The cache options of each task.
        settings: The tick and the flush interval.
        refresher: Acquires leases and publishes values.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        cache_options: TaskCacheOptions,
        settings: Settings,
        refresher: Refresher,
    ) -> None:
        self._store = store
        self._registry = registry
        self._cache_options = cache_options
        self._settings = settings
        self._refresher = refresher
        self._switch = Switch()
        self._runtimes: dict[str, tuple[str, int, TaskRuntime]] = {}

    # --- taking ------------------------------------------------------------------------------------------------
    def take(
        self,
        capacity: Capacity,
        unknown_ids: Iterable[str] = (),
        *,
        only: Sequence[str] | None = None,
        drain_id: str = "",
        waits: bool = True,
        is_wanted: Callable[[str], bool] = lambda ref: True,
    ) -> ClaimedBatch:
        """Claim the most urgent ready targets, and acquire their leases.

        Args:
            capacity: How many computations may begin.
            unknown_ids: Ids of tasks that this process does not know.
            only: The refs that may be claimed; None for all.
            drain_id: The prefix of the claims' token.
            waits: Whether a batch that is not full may wait for more targets.
            is_wanted: Returns whether the caller wants a target; the others are given back.

        Raises:
            redis.RedisError: Redis did not answer; claims that were taken are given back, or expire.
        """
        batch = self._store.refreshes.claim(capacity, unknown_ids, only=only, drain_id=drain_id, waits=waits)
        try:
            return self._leased(batch, is_wanted)
        except RedisError:
            self._store.refreshes.give_back([claim.ref for claim in batch.claims], batch.token)
            raise

    def _leased(self, batch: ClaimBatch, is_wanted: Callable[[str], bool]) -> ClaimedBatch:
        """Acquire the leases of known and wanted targets, and complete those that need no computation."""
        self._switch = batch.switch
        unknown_ids: set[str] = set()
        not_ours: list[str] = []
        ended: list[tuple[Claim, WarmingTask | None, Refreshed]] = []
        claims: list[Claim] = []
        requests: list[CacheRequest] = []
        runtimes: dict[str, TaskRuntime | WarmerError | None] = {}
        for claim in batch.claims:
            if claim.definition not in runtimes:
                runtimes[claim.definition] = self._resolve(claim)
            runtime = runtimes[claim.definition]
            try:
                if isinstance(runtime, WarmerError):
                    raise runtime
                if runtime is None:
                    unknown_ids.add(task_id_of(claim.ref))
                if runtime is None or not is_wanted(claim.ref):
                    not_ours.append(claim.ref)
                else:
                    requests.append(runtime.request_for(claim.ref))
                    claims.append(claim)
            except WarmerError as error:
                ended.append((claim, None, Refreshed(claim.ref, Origin.WARM, Result.FAILED, error=described(error))))
        if not_ours:
            self._store.refreshes.give_back(not_ours, batch.token)
        works: list[LeasedWork] = []
        acquired = self._refresher.acquire(requests, batch.token, Origin.WARM, _fresh_ok, claims=claims)
        for request, claim, one in zip(requests, claims, acquired, strict=True):
            if isinstance(one, LeasedWork):
                works.append(one)
            else:
                ended.append((claim, request.target.task if request.target else None, one))
        self._complete([self._outcome(claim, batch.token, task, one) for claim, task, one in ended])
        return ClaimedBatch(
            works, [one for _, _, one in ended], frozenset(unknown_ids), len(batch.claims), batch.blocked
        )

    def _resolve(self, claim: Claim) -> "TaskRuntime | WarmerError | None":
        """Return the claimed task as this process computes it; None if this process does not know it.

        The answer is kept for the next claims, until the definition or the registry changes; but not for a function
        that is given by its path, because the path may lead to another function later.
        """
        task_id, revision = task_id_of(claim.ref), self._registry.revision
        known = self._runtimes.get(task_id)
        if known is not None and known[:2] == (claim.definition, revision):
            return known[2]
        try:
            task = self._registry.resolve(claim.definition)
            if task is None:
                return None
            options = self._cache_options.of(task)
            runtime = TaskRuntime(task, late_function_of(task), lambda: options)
        except WarmerError as error:
            return error
        if callable(task.compute_fn):
            self._runtimes[task_id] = claim.definition, revision, runtime
        return runtime

    # --- completing --------------------------------------------------------------------------------------------
    def publish(self, works: Sequence[LeasedWork], computed: Sequence[Computed]) -> list[Refreshed]:
        """Publish values, and complete the claims.

        Args:
            works: Works of `take`.
            computed: The outcome of each computation.

        Returns:
            The end of each refresh.

        Raises:
            redis.RedisError: Redis did not answer; the claims expire, and their targets become ready again.
        """
        return self._complete_works(works, self._refresher.publish(works, computed))

    def give_up(self, works: Sequence[LeasedWork], error: str, duration_ms: float) -> list[Refreshed]:
        """Complete claims as failed whose computation did not end in time; its value will not be written later.

        Args:
            works: The works of the computation.
            error: The error to record.
            duration_ms: The time since its start.

        Raises:
            redis.RedisError: Redis did not answer; the claims expire.
        """
        self._refresher.release(leases_of(works))
        refreshed = [
            Refreshed(work.ref, work.origin, Result.FAILED, duration_ms=duration_ms, error=error) for work in works
        ]
        return self._complete_works(works, refreshed)

    def give_back(self, works: Iterable[LeasedWork]) -> None:
        """Give claims back: their targets return to their former place in the queue.

        Raises:
            redis.RedisError: Redis did not answer; the claims expire.
        """
        for token, given in _by_token(works).items():
            self._refresher.release(leases_of(given))
            self._store.refreshes.give_back([work.ref for work in given], token)

    def renew(self, works: Sequence[LeasedWork]) -> list[str]:
        """Renew claims and leases; returns the refs of the claims that are lost.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        self._refresher.renew(leases_of(works))
        return [
            ref
            for token, held in _by_token(works).items()
            for ref in self._store.refreshes.renew_claims(token, [work.ref for work in held])
        ]

    def complete_unclaimed(self, refreshed: Sequence[Refreshed]) -> None:
        """Record refreshes that had no claim: of readers after a miss, or on demand.

        Args:
            refreshed: The end of each refresh; each target at most once.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        timings = self._store.stats.timings([one.ref for one in refreshed])
        outcomes = []
        for one, timing in zip(refreshed, timings, strict=True):
            task = self._registry.get(task_id_of(one.ref))
            due = NextDue("never") if task is None else next_due(task, timing, one, 0, self._settings)
            outcomes.append(outcome_of(one, "", due, self._settings))
        self._store.refreshes.complete(outcomes)

    # --- shared steps ------------------------------------------------------------------------------------------
    def _complete_works(self, works: Sequence[LeasedWork], refreshed: list[Refreshed]) -> list[Refreshed]:
        self._complete(
            [
                self._outcome(work.claim, work.token, work.task, one)
                for work, one in zip(works, refreshed, strict=True)
                if work.claim is not None
            ]
        )
        return refreshed

    def _outcome(self, claim: Claim, token: str, task: WarmingTask | None, refreshed: Refreshed) -> Outcome:
        _log(refreshed)
        if task is None:
            due = due_after_rejection(claim.failures)
        else:
            timing = Timing(claim.compute_p95_s, claim.queue_wait_s, self._switch)
            due = next_due(task, timing, refreshed, claim.failures, self._settings)
        return outcome_of(refreshed, token, due, self._settings)

    def _complete(self, outcomes: Sequence[Outcome]) -> None:
        if not outcomes:
            return
        for name in self._store.refreshes.complete(outcomes).quarantined:
            logger.error(
                "%s is in quarantine, because it crashed its process too often: workers do not compute it until its "
                "definition changes or `warmer release %s` is called",
                name,
                shlex.quote(name),
            )


def computed_here(work: LeasedWork, monotonic_s: Callable[[], float] = time.monotonic) -> Computed:
    """Compute a value in this thread, by the function for one target, also if the task asks for an isolated process.

    Args:
        work: A work of `Claims.take`.
        monotonic_s: The clock that measures its duration.
    """
    with uncounted_reads():
        (computed,) = run(computing_values([work.request], work.options.timeout_s, monotonic_s=monotonic_s))
    return computed


def _fresh_ok(work: LeasedWork, present: Header) -> bool:
    """Whether a claim needs no computation: the value is newer than the request, or fresh if that is enough."""
    claim = work.claim
    return claim is not None and (present.computed_at_ms > claim.due_ms or (claim.fresh_ok and is_fresh(work, present)))


def _by_token(works: Iterable[LeasedWork]) -> dict[str, list[LeasedWork]]:
    by_token = defaultdict(list)
    for work in works:
        by_token[work.token].append(work)
    return by_token


def _log(refreshed: Refreshed) -> None:
    ref, result = refreshed.ref, refreshed.result
    if result in (Result.FAILED, Result.CRASHED):
        logger.warning("%s failed after %.0f ms: %s", ref, refreshed.duration_ms, refreshed.error)
    elif result is Result.LOST:
        logger.warning("%s: the lease was lost, nothing was written %s", ref, refreshed.error)
    elif logger.isEnabledFor(logging.INFO):
        logger.info("%s: %s in %.1f ms", ref, result, refreshed.duration_ms)
