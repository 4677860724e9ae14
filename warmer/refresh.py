"""Lease, compute, publish, complete: the one routine that refreshes a value, for workers and readers alike."""

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from redis.exceptions import RedisError

from warmer import policy
from warmer.access import uncounted
from warmer.clock import Clock
from warmer.codec import encode
from warmer.compute import call
from warmer.entry import Header, Origin, pack
from warmer.errors import OutlivedTtlError, described
from warmer.registry import Registry, function_of
from warmer.renewal import Renewer
from warmer.settings import Settings
from warmer.store import Batch, Claim, Lease, Outcome, Result, Store
from warmer.switch import Switch
from warmer.task import Target, WarmingTask, parse_ref

logger = logging.getLogger("warmer.refresh")

BUSY_RETRY_MS = 1000
GIVE_UP_AFTER = 5
"""Failures in a row after which a target that nobody reads is left alone."""

JUDGEMENT_GRACE_S = 5.0
"""Reads are flushed in batches: a refresh is judged wasted only when the last of them has surely arrived."""

Due = tuple[Literal["at", "in", "never"], int]


@dataclass(frozen=True, slots=True)
class Work:
    """One value to compute and publish.

    Args:
        ref: Canonical text of the target; "" for a key without a task.
        cache_key: Where the value is cached.
        ttl_s: For how long it is fresh.
        origin: Who computes it.
        compute: Computes it.
        token: What the lease is taken with.
    """

    ref: str
    cache_key: str
    ttl_s: float
    origin: Origin
    compute: Callable[[], Any]
    token: str


@dataclass(frozen=True, slots=True)
class Refreshed:
    """How a refresh ended.

    Args:
        result: How it ended.
        value: The computed value, if there is one.
        duration_ms: How long the computation took.
        computed_at_ms: When the value that is now cached was computed; 0 when unknown.
        fresh_until_ms: Until when it is fresh.
        error: What went wrong.
        exception: What the computation raised, or why its value can never be cached; None if there is a value.
    """

    result: Result
    value: Any = None
    duration_ms: float = 0.0
    computed_at_ms: int = 0
    fresh_until_ms: int = 0
    error: str = ""
    exception: BaseException | None = None


def nothing_will_do(present: Header, now_ms: int) -> bool:
    """Say that no present value will do: compute whatever there is."""
    return False


def is_fresh(present: Header, now_ms: int) -> bool:
    """Say whether the present value is fresh: it will do for whoever only wants one."""
    return present.fresh_until_ms > now_ms


class Refresher:
    """Refreshes values under a lease, and completes claims.

    Args:
        store: Where entries and claims are.
        registry: The functions of this process.
        settings: Time-outs and thresholds.
        clock: Measures durations.
    """

    def __init__(self, store: Store, registry: Registry, settings: Settings, clock: Clock) -> None:
        """Start idle."""
        self._store = store
        self._registry = registry
        self._settings = settings
        self._clock = clock
        self.renewer = Renewer(min(settings.lease_timeout_s, settings.claim_timeout_s) / 3)

    # --- lease, compute, publish -----------------------------------------------------------------------------
    def refresh(self, work: Work, will_do: Callable[[Header, int], bool]) -> Refreshed:
        """Compute a value and publish it under the lease, unless the present one will do.

        Args:
            work: What to compute.
            will_do: Given the present entry's header and the server's time in ms, says whether to leave it at that.

        Returns:
            How it ended; an exception of the computation is in it, not raised.

        Raises:
            redis.RedisError: the lease could not be asked for.
        """
        lease = self._store.take_lease(work.cache_key, work.token)
        if not lease.taken:
            return Refreshed(Result.BUSY)
        present = lease.present if lease.present and _is_same_target(lease.present, work) else None
        if present is not None and will_do(present, lease.now_ms):
            self._release(work)
            return Refreshed(Result.FRESH, computed_at_ms=present.computed_at_ms, fresh_until_ms=present.fresh_until_ms)
        with self.renewer.holding(lambda: self._store.renew_lease(work.cache_key, work.token)):
            return self._compute_and_publish(work, lease, present)

    def _compute_and_publish(self, work: Work, lease: Lease, present: Header | None) -> Refreshed:
        started_s = self._clock.monotonic_s()
        try:
            value = work.compute()
            codec, payload = encode(work.cache_key, value)
        except BaseException as error:
            self._release(work)
            if _ends_the_process(error):
                raise
            duration_ms = 1000 * (self._clock.monotonic_s() - started_s)
            return Refreshed(Result.FAILED, duration_ms=duration_ms, error=described(error), exception=error)
        duration_s = self._clock.monotonic_s() - started_s
        fresh_until_ms = lease.now_ms + round(1000 * work.ttl_s)
        header = Header(
            computed_at_ms=lease.now_ms,
            fresh_until_ms=fresh_until_ms,
            expires_at_ms=fresh_until_ms,
            useful_from_ms=_useful_from_ms(work.origin, lease, present),
            compute_us=round(1e6 * duration_s),
            origin=work.origin,
            codec=codec,
            ref=work.ref.encode() or (present.ref if present else b""),
        )
        refreshed = Refreshed(Result.PUBLISHED, value, 1000 * duration_s, lease.now_ms, fresh_until_ms)
        return self._publish(work, header, payload, refreshed)

    def _publish(self, work: Work, header: Header, payload: bytes, refreshed: Refreshed) -> Refreshed:
        try:
            result = self._store.publish(work.cache_key, work.token, header.expires_at_ms, pack(header, payload))
        except RedisError as error:
            self._release(work)
            return replace(refreshed, result=Result.FAILED, error=f"not cached: {described(error)}")
        if result is None:
            outlived = OutlivedTtlError(
                f"computing {work.cache_key!r} took {refreshed.duration_ms / 1000:.1f} s, longer than its ttl of "
                f"{work.ttl_s:g} s, so the value was too old to cache; raise the ttl"
            )
            return replace(refreshed, result=Result.FAILED, error=described(outlived))
        return replace(refreshed, result=result)

    def _release(self, work: Work) -> None:
        try:
            self._store.release_lease(work.cache_key, work.token)
        except RedisError as error:  # it lapses by itself
            logger.warning("could not release the lease of %r: %s", work.cache_key, described(error))

    # --- claims ----------------------------------------------------------------------------------------------
    def target_of(self, claim: Claim) -> Target | None:
        """Return the target that was claimed, with this process's function; None if it does not know the task.

        Raises:
            InvalidTaskError: the definition or the arguments are none that fit; `refuse` the claim then.
        """
        task = self._registry.resolve(claim.definition)
        if task is None:
            return None
        _, arguments = parse_ref(claim.ref)
        return task.target(**arguments)

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
        task = target.task

        def will_do(present: Header, now_ms: int) -> bool:
            return present.computed_at_ms > claim.due_ms or (claim.ensure and is_fresh(present, now_ms))

        return self.refresh(
            Work(
                claim.ref,
                target.cache_key,
                task.ttl,
                Origin.WARM,
                lambda: _uncounted_call(task, target),
                batch.token,
            ),
            will_do,
        )

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
        self._store.release_lease(target.cache_key, batch.token)
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


def _useful_from_ms(origin: Origin, lease: Lease, present: Header | None) -> int:
    if origin is Origin.MISS:
        return 0
    return lease.now_ms if present is None else max(present.fresh_until_ms, lease.now_ms)


def _is_same_target(present: Header, work: Work) -> bool:
    """Say whether an entry is this target's; one written or asked for by key alone is whoever's the key is."""
    return present.ref == work.ref.encode() or not present.ref or not work.ref


def _uncounted_call(task: WarmingTask, target: Target) -> Any:
    with uncounted():
        return call(function_of(task), target.arguments, task.timeout_s)


def _ends_the_process(error: BaseException) -> bool:
    """Say whether this is Ctrl-C or an exit from a signal's handler: only the main thread ever gets those."""
    is_exit = isinstance(error, KeyboardInterrupt | SystemExit)
    return is_exit and threading.current_thread() is threading.main_thread()
