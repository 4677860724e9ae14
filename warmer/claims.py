"""What workers do with a claim, and what a refresh means for its target: when it is due again, and how it is judged."""

import logging
import random
from dataclasses import replace
from typing import Literal

from redis.exceptions import RedisError

from warmer import policy
from warmer.access import uncounted
from warmer.entry import Header, Origin
from warmer.errors import described
from warmer.refresh import Refreshed, Refresher, Work, is_fresh
from warmer.registry import Registry, late_function_of
from warmer.settings import Settings
from warmer.store import Batch, Claim, Outcome, Result, Store
from warmer.switch import Switch
from warmer.task import Target, WarmingTask
from warmer.terms import TaskTerms

logger = logging.getLogger("warmer.refresh")

BUSY_RETRY_MS = 1000
GIVE_UP_AFTER = 5
"""Failures in a row after which a target that nobody reads is left alone."""

JUDGEMENT_GRACE_S = 5.0
"""Reads are flushed in batches: a refresh is judged wasted only when the last of them has surely arrived."""

Due = tuple[Literal["at", "in", "never"], int]


class Claims:
    """Carries out claims, and completes them.

    Args:
        store: Where claims are.
        registry: The functions of this process.
        terms: On which terms each task's values are cached.
        refresher: The refresh routine.
        settings: Time-outs and thresholds.
    """

    def __init__(
        self, store: Store, registry: Registry, terms: TaskTerms, refresher: Refresher, settings: Settings
    ) -> None:
        """Start idle."""
        self._store = store
        self._registry = registry
        self._terms = terms
        self._refresher = refresher
        self._settings = settings

    def target_of(self, claim: Claim) -> Target | None:
        """Return the target that was claimed, with this process's function; None if it does not know the task.

        Raises:
            InvalidTaskError: the definition or the arguments are none that fit; `refuse` the claim then.
        """
        task = self._registry.resolve(claim.definition)
        if task is None:
            return None
        return task.target_of_ref(claim.ref)

    def carry_out(self, claim: Claim, batch: Batch, target: Target) -> Refreshed:
        """Refresh a claimed target and complete its claim.

        Args:
            claim: The claim.
            batch: What it was claimed with.
            target: What was claimed, from `target_of`.

        Returns:
            How it ended.

        Raises:
            redis.RedisError: Redis did not answer; the claim lapses, and the target becomes ready again.
        """
        try:
            refreshed = self._refresh_claimed(claim, batch, target)
        except RedisError:
            raise
        except Exception as error:
            logger.exception("%s cannot be refreshed", claim.ref)
            return self.refuse(claim, batch, error)
        self._complete(claim, batch, target, refreshed)
        return refreshed

    def _refresh_claimed(self, claim: Claim, batch: Batch, target: Target) -> Refreshed:
        def will_do(present: Header, now_ms: int) -> bool:
            return present.computed_at_ms > claim.due_ms or (claim.ensure and is_fresh(present, now_ms))

        work = Work(
            claim.ref,
            target.cache_key,
            # A worker gives up what is overdue itself, and needs no thread for that.
            replace(self._terms.of(target.task), leaves_thread=False),
            Origin.WARM,
            late_function_of(target.task),
            target.arguments,
            batch.token,
        )
        with uncounted():
            return self._refresher.refresh(work, will_do)

    def _complete(self, claim: Claim, batch: Batch, target: Target, refreshed: Refreshed) -> None:
        self._log(claim.ref, refreshed)
        demand = self._demand(target.task, claim.reads_per_s, claim.compute_p95_s, batch.queue_wait_s, refreshed)
        due = self._next_due(target.task, batch.switch, demand, refreshed, claim.failures)
        self._store.complete(self._outcome(claim.ref, "warm", refreshed), batch.token, due)

    def give_up(self, claim: Claim, batch: Batch, target: Target, error: str, duration_ms: float) -> None:
        """Complete a claim whose computation did not come back; whatever it still writes is refused.

        Args:
            claim: The claim.
            batch: What it was claimed with.
            target: What was claimed.
            error: Why it is given up.
            duration_ms: How long it has been running.
        """
        self._store.entries.release_lease(target.cache_key, batch.token)
        self._complete(claim, batch, target, Refreshed(Result.FAILED, duration_ms=duration_ms, error=error))

    def refuse(self, claim: Claim, batch: Batch, error: BaseException) -> Refreshed:
        """Complete a claim that cannot be carried out at all: failed, with backoff, and let go if that does not help.

        Args:
            claim: The claim.
            batch: What it was claimed with.
            error: Why it cannot be.
        """
        failures = claim.failures + 1
        due: Due = ("in", round(1000 * policy.retry_delay_s(failures, random.random())))
        refreshed = Refreshed(Result.FAILED, error=described(error))
        self._log(claim.ref, refreshed)
        self._store.complete(
            self._outcome(claim.ref, "warm", refreshed), batch.token, ("never", 0) if failures >= GIVE_UP_AFTER else due
        )
        return refreshed

    def settle(self, task: WarmingTask | None, ref: str, origin: Origin, refreshed: Refreshed) -> None:
        """Record a refresh that was made without a claim: by a reader that had missed, or by hand.

        Args:
            task: The target's task; None for a key without one.
            ref: Canonical text of the target; "" for a key without a task.
            origin: Who computed.
            refreshed: How it ended.
        """
        due: Due = ("never", 0)
        if task is not None:
            reads_per_s, compute_p95_s, queue_wait_s, switch = self._store.demand(ref)
            demand = self._demand(task, reads_per_s, compute_p95_s, queue_wait_s, refreshed)
            due = self._next_due(task, switch, demand, refreshed, failures=0)
        self._store.complete(self._outcome(ref, "warm" if origin is Origin.WARM else "miss", refreshed), "", due)

    def _demand(
        self,
        task: WarmingTask,
        reads_per_s: float,
        compute_p95_s: float,
        queue_wait_s: float,
        refreshed: Refreshed,
    ) -> policy.Demand:
        slowest_s = max(compute_p95_s, refreshed.duration_ms / 1000)
        lead_s = policy.lead_s(slowest_s, queue_wait_s, self._settings.tick_s, task.ttl)
        return policy.Demand(reads_per_s, lead_s, self._settings.refresh_threshold)

    def _next_due(
        self, task: WarmingTask, switch: Switch, demand: policy.Demand, refreshed: Refreshed, failures: int
    ) -> Due:
        if refreshed.result is Result.BUSY:
            return "in", BUSY_RETRY_MS
        if refreshed.result is Result.LOST:
            return "in", 0
        if refreshed.result is Result.FAILED:
            if failures + 1 >= GIVE_UP_AFTER and not policy.is_wanted(task, switch, demand):
                return "never", 0
            return "in", round(1000 * policy.retry_delay_s(failures + 1, random.random()))
        if refreshed.result is Result.PUBLISHED and refreshed.duration_ms >= 1000 * task.ttl:
            return "in", round(refreshed.duration_ms)  # stale as soon as it was there: no computing without a pause
        due_s = policy.next_due_s(
            task, switch, demand, refreshed.computed_at_ms / 1000, refreshed.fresh_until_ms / 1000
        )
        return ("never", 0) if due_s is None else ("at", round(1000 * due_s))

    def _outcome(self, ref: str, origin: Literal["warm", "miss"], refreshed: Refreshed) -> Outcome:
        judged = origin == "warm" and refreshed.result is Result.PUBLISHED and ref != ""
        grace_ms = round(1000 * (self._settings.flush_s + JUDGEMENT_GRACE_S))
        return Outcome(
            ref,
            refreshed.result,
            origin,
            refreshed.duration_ms,
            refreshed.computed_at_ms,
            refreshed.error,
            refreshed.computed_at_ms if judged else None,
            refreshed.fresh_until_ms + grace_ms,
        )

    def _log(self, ref: str, refreshed: Refreshed) -> None:
        if refreshed.result is Result.FAILED:
            logger.warning("%s failed after %.0f ms: %s", ref, refreshed.duration_ms, refreshed.error)
        elif refreshed.result is Result.LOST:
            logger.warning("%s: the lease was lost, nothing was written %s", ref, refreshed.error)
        else:
            logger.info("%s: %s in %.1f ms", ref, refreshed.result, refreshed.duration_ms)
