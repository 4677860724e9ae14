"""Claims: take targets with their leases, many at once, publish what was computed, and complete the claims."""

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
    """How the targets of a task are computed in this process.

    Args:
        task: The task, as this process knows it.
        function: Computes a value.
        find_options: Returns how it is cached.
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
    """What one call of `Claims.take` got.

    Args:
        works: What is to be computed, best first; those of one batch stand together.
        ended: What ended at once: a fresh value was there, another computes it, or it cannot be computed.
        unknown_ids: Ids of tasks that this process does not know; their targets were given back.
        claimed: How many targets were claimed.
        blocked: How many tasks have ready targets that have to wait.
    """

    works: list[LeasedWork]
    ended: list[Refreshed]
    unknown_ids: frozenset[str]
    claimed: int
    blocked: int


class Claims:
    """Takes claims, publishes, and completes them; how they are computed in between is the caller's business.

    Args:
        store: Where claims are.
        registry: The functions of this process.
        cache_options: How each task's values are cached.
        settings: Time-outs and thresholds.
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
        """Start idle."""
        self._store = store
        self._registry = registry
        self._cache_options = cache_options
        self._settings = settings
        self._refresher = refresher
        self._switch = Switch()

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
        """Claim the best of what is ready, and take the leases.

        Args:
            capacity: How many computations may begin.
            unknown_ids: Ids of tasks that this process does not know.
            only: The refs that may be claimed; all when not given.
            drain_id: What the claims' token begins with.
            waits: Whether a batch that is not full may wait for more.
            is_wanted: Decides whether the caller wants a target; one that it does not want is given back.

        Raises:
            redis.RedisError: Redis did not answer; what had been claimed is given back, or lapses.
        """
        batch = self._store.refreshes.claim(capacity, unknown_ids, only=only, drain_id=drain_id, waits=waits)
        try:
            return self._leased(batch, is_wanted)
        except RedisError:
            self._store.refreshes.give_back([claim.ref for claim in batch.claims], batch.token)
            raise

    def _leased(self, batch: ClaimBatch, is_wanted: Callable[[str], bool]) -> ClaimedBatch:
        """Take the leases of what this process knows and wants, and complete what needs no computation."""
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
        """Return how targets of the claimed task are computed here; None if this process does not know it."""
        try:
            task = self._registry.resolve(claim.definition)
            if task is None:
                return None
            options = self._cache_options.of(task)
            return TaskRuntime(task, late_function_of(task), lambda: options)
        except WarmerError as error:
            return error

    # --- ending ------------------------------------------------------------------------------------------------
    def publish(self, works: Sequence[LeasedWork], computed: Sequence[Computed]) -> list[Refreshed]:
        """Publish what was computed, and complete the claims.

        Args:
            works: From `take`.
            computed: The outcome of each computation.

        Returns:
            How each refresh ended.

        Raises:
            redis.RedisError: Redis did not answer; the claims lapse, and their targets become ready again.
        """
        return self._complete_works(works, self._refresher.publish(works, computed))

    def give_up(self, works: Sequence[LeasedWork], error: str, duration_ms: float) -> list[Refreshed]:
        """Complete claims whose computation did not come back; a value that it still brings is refused.

        Args:
            works: What is given up.
            error: Why.
            duration_ms: How long it has been running.

        Raises:
            redis.RedisError: Redis did not answer; the claims lapse.
        """
        self._refresher.release(leases_of(works))
        refreshed = [
            Refreshed(work.ref, work.origin, Result.FAILED, duration_ms=duration_ms, error=error) for work in works
        ]
        return self._complete_works(works, refreshed)

    def give_back(self, works: Iterable[LeasedWork]) -> None:
        """Put targets back for others, in their old place.

        Raises:
            redis.RedisError: Redis did not answer; the claims lapse.
        """
        for token, given in _by_token(works).items():
            self._refresher.release(leases_of(given))
            self._store.refreshes.give_back([work.ref for work in given], token)

    def renew(self, works: Sequence[LeasedWork]) -> list[str]:
        """Extend claims and leases; returns the refs of the claims that are lost.

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
        """Record refreshes that were made without a claim: by readers that had missed, or by hand.

        Args:
            refreshed: How they ended; no target stands twice among them.

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

    # --- parts of the above ------------------------------------------------------------------------------------
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
                "%s has killed its process too often, and is computed no more until its definition changes or "
                "`warmer release %s` is called",
                name,
                shlex.quote(name),
            )


def computed_here(work: LeasedWork, monotonic_s: Callable[[], float] = time.monotonic) -> Computed:
    """Compute a value in this thread, by the function for a single one, also where the task wants a process.

    Args:
        work: From `Claims.take`.
        monotonic_s: Measures how long it takes.
    """
    with uncounted_reads():
        (computed,) = run(computing_values([work.request], work.options.timeout_s, monotonic_s=monotonic_s))
    return computed


def _fresh_ok(work: LeasedWork, present: Header) -> bool:
    """Whether a claim needs no computation: the value is newer than the claim, or fresh where that is enough."""
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
