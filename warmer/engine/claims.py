"""What workers do with claims: take targets with their leases, many at once, and publish and complete them."""

import logging
import shlex
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from warmer.codec.entry import Header, Origin
from warmer.engine.next_due import NextDue, due_after_refusal, next_due, outcome_of
from warmer.errors import WarmerError, described
from warmer.refresh.cache_options import CacheOptions, TaskCacheOptions
from warmer.refresh.compute import call
from warmer.refresh.publisher import (
    Computed,
    Done,
    Publisher,
    Refreshed,
    RefreshRequest,
    computed_of,
    fresh_already,
    present_of,
)
from warmer.refresh.read_counter import uncounted_reads
from warmer.refresh.refresher import is_fresh
from warmer.refresh.single_flight import computing
from warmer.settings import Settings
from warmer.store import Capacity, Claim, ClaimBatch, Lease, Outcome, Result, Store, Timing
from warmer.tasks.loading import late_function_of
from warmer.tasks.registry import Registry
from warmer.tasks.target import Target, task_id_of
from warmer.tasks.task import WarmingTask

logger = logging.getLogger("warmer.refresh")


class Job(NamedTuple):
    """A claimed target whose lease is held: what is left to be done is to compute it.

    Args:
        claim: The claim.
        batch: What it was claimed with.
        target: What is computed.
        work: The same as the refresh routine takes it.
        lease: The lease.
    """

    claim: Claim
    batch: ClaimBatch
    target: Target
    work: RefreshRequest
    lease: Lease

    @property
    def ref(self) -> str:
        """Canonical text of the target."""
        return self.claim.ref

    @property
    def task(self) -> WarmingTask:
        """The target's task."""
        return self.target.task

    @property
    def lease_held(self) -> tuple[str, str]:
        """The lease, as the store takes it: its key and token."""
        return self.work.cache_key, self.batch.token


class _Skill(NamedTuple):
    """How the targets of a task are computed in this process."""

    task: WarmingTask
    terms: CacheOptions
    function: Callable[..., Any]

    def work_for(self, target: Target, ref: str, token: str) -> RefreshRequest:
        return RefreshRequest(ref, target.cache_key, self.terms, Origin.WARM, self.function, target.arguments, token)


class Ended(NamedTuple):
    """A refresh that has ended.

    Args:
        ref: Canonical text of the target.
        refreshed: How.
    """

    ref: str
    refreshed: Refreshed


class ClaimedBatch(NamedTuple):
    """What one call of `Claims.take` got.

    Args:
        jobs: What is to be computed, best first; those of one batch stand together.
        ended: What ended at once: a fresh value was there, another computes it, or it cannot be computed.
        unknown_ids: Ids of tasks that this process does not know; their targets were given back.
        claimed: How many targets were claimed.
        held: How many tasks have something ready that has to wait.
    """

    jobs: list[Job]
    ended: list[Ended]
    unknown_ids: frozenset[str]
    claimed: int
    held: int


class Claims:
    """Takes claims, and completes them; how they are computed in between is the caller's business.

    Args:
        store: Where claims are.
        registry: The functions of this process.
        terms: On which terms each task's values are cached.
        settings: Time-outs and thresholds.
    """

    def __init__(self, store: Store, registry: Registry, terms: TaskCacheOptions, settings: Settings) -> None:
        """Start idle."""
        self._store = store
        self._registry = registry
        self._terms = terms
        self._settings = settings
        self._publisher = Publisher(store.entries)

    # --- taking ------------------------------------------------------------------------------------------------
    def take(
        self,
        places: Capacity,
        unknown_ids: Iterable[str] = (),
        *,
        only: Sequence[str] | None = None,
        life: str = "",
        waits: bool = True,
        is_wanted: Callable[[str], bool] = lambda ref: True,
    ) -> ClaimedBatch:
        """Claim the best of what is ready, and take the leases.

        Args:
            places: How many computations may begin.
            unknown_ids: Ids of tasks that this process does not know.
            only: The refs that may be claimed; all when not given.
            life: What the claims' token begins with.
            waits: Whether a batch that is not full may wait for more.
            is_wanted: Says whether the caller wants a target; what it does not is given back.

        Raises:
            redis.RedisError: Redis did not answer; what had been claimed is given back, or lapses.
        """
        batch = self._store.refreshes.claim(places, unknown_ids, only=only, life=life, waits=waits)
        try:
            return self._opened(batch, is_wanted)
        except RedisError:
            self._store.refreshes.give_back([claim.ref for claim in batch.claims], batch.token)
            raise

    def _opened(self, batch: ClaimBatch, is_wanted: Callable[[str], bool]) -> ClaimedBatch:
        known, not_ours = [], []
        unknown_ids: set[str] = set()
        done: list[tuple[Claim, Refreshed, WarmingTask | None]] = []
        skills: dict[str, _Skill | WarmerError | None] = {}
        for claim in batch.claims:
            if claim.definition not in skills:
                skills[claim.definition] = self._skill_for(claim)
            skill = skills[claim.definition]
            try:
                if isinstance(skill, WarmerError):
                    raise skill
                if skill is None:
                    unknown_ids.add(task_id_of(claim.ref))
                if skill is None or not is_wanted(claim.ref):
                    not_ours.append(claim.ref)
                else:
                    target = skill.task.target_of_ref(claim.ref)
                    known.append((claim, target, skill.work_for(target, claim.ref, batch.token)))
            except WarmerError as error:
                done.append((claim, Refreshed(Result.FAILED, error=described(error)), None))
        self._store.refreshes.give_back(not_ours, batch.token)
        jobs, unneeded = [], []
        leases = self._store.entries.take_leases([(work.cache_key, batch.token, 0) for _, _, work in known])
        for (claim, target, work), lease in zip(known, leases, strict=True):
            refreshed = _nothing_to_do(claim, work, lease)
            if refreshed is None:
                jobs.append(Job(claim, batch, target, work, lease))
            else:
                done.append((claim, refreshed, target.task))
                if refreshed.result is Result.FRESH:
                    unneeded.append((work.cache_key, batch.token))
        self._store.entries.release_leases(unneeded)
        self._complete([self._outcome(claim, batch, task, refreshed) for claim, refreshed, task in done])
        ended_now = [Ended(claim.ref, refreshed) for claim, refreshed, _ in done]
        return ClaimedBatch(jobs, ended_now, frozenset(unknown_ids), len(batch.claims), batch.held)

    def _skill_for(self, claim: Claim) -> "_Skill | WarmerError | None":
        """Return how targets of the claimed task are computed here; None if this process does not know it."""
        try:
            task = self._registry.resolve(claim.definition)
            return None if task is None else _Skill(task, self._terms.of(task), late_function_of(task))
        except WarmerError as error:
            return error

    # --- ending ------------------------------------------------------------------------------------------------
    def finish(self, done: Sequence[tuple[Job, Computed]]) -> list[Ended]:
        """Publish what was computed, and complete the claims.

        Args:
            done: Jobs, and what came of them.

        Returns:
            How each ended.

        Raises:
            redis.RedisError: Redis did not answer; the claims lapse, and their targets become ready again.
        """
        refreshed = self._publisher.publish([Done(job.work, job.lease, computed) for job, computed in done])
        return self._end([(job, how) for (job, _), how in zip(done, refreshed, strict=True)])

    def give_up(self, jobs: Sequence[Job], error: str, duration_ms: float) -> list[Ended]:
        """Complete claims whose computation did not come back; whatever it still writes is refused.

        Args:
            jobs: What is given up.
            error: Why.
            duration_ms: How long it has been running.

        Raises:
            redis.RedisError: Redis did not answer; the claims lapse.
        """
        self._publisher.release([job.work for job in jobs])
        refreshed = Refreshed(Result.FAILED, duration_ms=duration_ms, error=error)
        return self._end([(job, refreshed) for job in jobs])

    def give_back(self, jobs: Iterable[Job]) -> None:
        """Put targets back for others, in their old place.

        Raises:
            redis.RedisError: Redis did not answer; the claims lapse.
        """
        by_token = defaultdict(list)
        for job in jobs:
            by_token[job.batch.token].append(job)
        for token, given in by_token.items():
            self._publisher.release([job.work for job in given])
            self._store.refreshes.give_back([job.ref for job in given], token)

    def renew(self, jobs: Iterable[Job]) -> list[str]:
        """Extend claims and leases; returns the refs of the claims that are lost.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        refs_by_token = defaultdict(list)
        leases = []
        for job in jobs:
            refs_by_token[job.batch.token].append(job.ref)
            leases.append(job.lease_held)
        self._store.entries.renew_leases(leases)
        return [ref for token, refs in refs_by_token.items() for ref in self._store.refreshes.renew_claims(token, refs)]

    # --- without a claim ---------------------------------------------------------------------------------------
    def settle(self, ended_now: Sequence[tuple[str, Origin, Refreshed]]) -> None:
        """Record refreshes that were made without a claim: by readers that had missed, or by hand.

        Args:
            ended_now: For each the target's ref, "" for a key without a task; who computed; how it ended. No target
                stands twice among them.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        timings = self._store.stats.timings([ref for ref, _, _ in ended_now])
        outcomes = []
        for (ref, origin, refreshed), timing in zip(ended_now, timings, strict=True):
            task = self._registry.get(task_id_of(ref))
            due = NextDue("never") if task is None else next_due(task, timing, refreshed, 0, self._settings)
            outcomes.append(outcome_of(ref, "", origin, refreshed, due, self._settings))
        self._store.refreshes.complete(outcomes)

    # --- parts of the above ------------------------------------------------------------------------------------
    def _end(self, ended_now: Sequence[tuple[Job, Refreshed]]) -> list[Ended]:
        self._complete([self._outcome(job.claim, job.batch, job.task, refreshed) for job, refreshed in ended_now])
        return [Ended(job.ref, refreshed) for job, refreshed in ended_now]

    def _outcome(self, claim: Claim, batch: ClaimBatch, task: WarmingTask | None, refreshed: Refreshed) -> Outcome:
        _log(claim.ref, refreshed)
        if task is None:
            due = due_after_refusal(claim.failures)
        else:
            timing = Timing(claim.compute_p95_s, claim.queue_wait_s, batch.switch)
            due = next_due(task, timing, refreshed, claim.failures, self._settings)
        return outcome_of(claim.ref, batch.token, Origin.WARM, refreshed, due, self._settings)

    def _complete(self, outcomes: Sequence[Outcome]) -> None:
        for name in self._store.refreshes.complete(outcomes).quarantined:
            logger.error(
                "%s has killed its process too often, and is computed no more until its definition changes or "
                "`warmer release %s` is called",
                name,
                shlex.quote(name),
            )


def computed_here(job: Job, monotonic_s: Callable[[], float] = time.monotonic) -> Computed:
    """Compute a job in this thread, whatever its task says of batches and processes; returns what came of it.

    Args:
        job: From `Claims.take`.
        monotonic_s: Measures how long it takes.
    """
    work, started_s = job.work, monotonic_s()
    try:
        with uncounted_reads(), computing(work.cache_key):
            value = call(work.function, work.arguments, work.terms.timeout_s)
    except Exception as error:
        return Computed(monotonic_s() - started_s, error=error)
    return computed_of(work.terms.codec, work.cache_key, monotonic_s() - started_s, value)


def _nothing_to_do(claim: Claim, work: RefreshRequest, lease: Lease) -> Refreshed | None:
    """Return how a refresh has ended at once: another is at it, or the present value will do; None to compute."""
    if not lease.taken:
        return Refreshed(Result.BUSY, lease.now_ms)
    present = present_of(work, lease)
    if present is None or not _will_do(claim, present, lease.now_ms):
        return None
    return fresh_already(present, lease.now_ms)


def _will_do(claim: Claim, present: Header, now_ms: int) -> bool:
    return present.computed_at_ms > claim.due_ms or (claim.ensure and is_fresh(present, now_ms))


def _log(ref: str, refreshed: Refreshed) -> None:
    if refreshed.result in (Result.FAILED, Result.CRASHED):
        logger.warning("%s failed after %.0f ms: %s", ref, refreshed.duration_ms, refreshed.error)
    elif refreshed.result is Result.LOST:
        logger.warning("%s: the lease was lost, nothing was written %s", ref, refreshed.error)
    elif logger.isEnabledFor(logging.INFO):
        logger.info("%s: %s in %.1f ms", ref, refreshed.result, refreshed.duration_ms)
