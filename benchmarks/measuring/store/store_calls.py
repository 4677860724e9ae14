"""Every call of the benchmarks into warmer's store: a change of the store is followed up here and nowhere else."""

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from warmer import Settings, Warmer, WarmingTask
from warmer.client.warmer import runtime_of
from warmer.engine.review_loop import ReviewLoop
from warmer.store import Capacity, ClaimBatch, Outcome, Result

AT_ONCE = 500
"""Targets in one call: more would keep Redis from answering others."""

LEADER = "the benchmark"
"""Which scheduler leads."""


def fleet_at(url: str, namespace: str, **settings: Any) -> Warmer:
    """Return a `Warmer` of a namespace."""
    return Warmer(Settings.load(redis_url=url, namespace=namespace, **settings))


def ask_for(warmer: Warmer, refs: Sequence[str]) -> None:
    """Ask for targets to be warmed, and let workers know; does not wait.

    Raises:
        SystemExit: some of them cannot be asked for.
    """
    for some in chunks(refs):
        answers = set(runtime_of(warmer).store.requests.submit(some, force=True))
        if answers != {"asked"}:
            raise SystemExit(f"{some[0]} and so on: expected to be asked for, got {answers}")


def call_workers(warmer: Warmer, workers: int) -> None:
    """Have something waiting for each of so many workers that are still to come."""
    runtime_of(warmer).queue.hint(workers)


def warmed_so_far(warmer: Warmer) -> int:
    return int(runtime_of(warmer).store.stats.totals().get("warmings", 0))


def failed_so_far(warmer: Warmer) -> int:
    return int(runtime_of(warmer).store.stats.totals().get("failed", 0))


def is_fleet_ready(warmer: Warmer) -> bool:
    """Whether a scheduler leads and a worker lives."""
    fleet = runtime_of(warmer).store.fleet
    return bool(fleet.has_leader() and fleet.live_workers())


def has_claims(warmer: Warmer) -> bool:
    """Whether a worker has claimed something that it has not completed yet."""
    store = runtime_of(warmer).store
    return bool(store.control.zcard(store.keys.claims))


class Flow:
    """The ways that targets of one task take through the store, without a worker and without values.

    Args:
        warmer: Of the namespace.
        task: The task.
    """

    def __init__(self, warmer: Warmer, task: WarmingTask) -> None:
        self._store = runtime_of(warmer).store
        self._warmer = warmer
        self._task = task
        self._flushes = count(1)
        warmer.start()
        warmer.register(task)

    def ask(self, refs: Sequence[str]) -> None:
        ask_for(self._warmer, refs)

    def claim(self, wanted: int) -> ClaimBatch:
        return self._store.refreshes.claim(Capacity(threads=wanted))

    def finish(self, batch: ClaimBatch) -> None:
        """End claims as a worker does that has published their values: due again before these expire."""
        lifetime_ms = round(1000 * self._task.ttl)
        self._store.refreshes.complete(
            [
                Outcome(
                    claim.ref,
                    batch.token,
                    Result.PUBLISHED,
                    "warm",
                    due_kind="at",
                    due_ms=batch.now_ms + lifetime_ms,
                    duration_ms=0.1,
                    computed_at_ms=batch.now_ms,
                    judged_ms=batch.now_ms,
                    wasted_at_ms=batch.now_ms + lifetime_ms,
                )
                for claim in batch.claims
            ]
        )

    def read(self, refs: Sequence[str]) -> None:
        """Count one read of each target."""
        for some in chunks(refs):
            self._store.reads.flush("benchmark", next(self._flushes), [(ref, "", 1, 0, [], 0) for ref in some])

    def make_due(self, refs: Sequence[str]) -> None:
        now_ms = round(1000 * time.time())
        for ref in refs:
            self._store.targets.reschedule(ref, now_ms)

    def tick(self) -> int:
        """Return how many targets one tick has made ready."""
        return self._store.refreshes.tick().moved


class Memory:
    """What is remembered of the reads of one task's targets, and what is decided by it, without workers and values.

    Args:
        warmer: Of the namespace.
        task: The task.
    """

    def __init__(self, warmer: Warmer, task: WarmingTask) -> None:
        self.store = runtime_of(warmer).store
        self._task = task
        self._flushes = count(1)
        self._review_loop = ReviewLoop(runtime_of(warmer).store, warmer.settings, LEADER)
        warmer.start()
        warmer.register(task)

    def publish(self, refs: Sequence[str]) -> None:
        """Record that readers computed what they missed; each target is to be reviewed when its ttl ends."""
        now_ms, ttl_ms = round(1000 * time.time()), round(1000 * self._task.ttl)
        self.store.refreshes.complete(
            [
                Outcome(
                    ref,
                    "",
                    Result.PUBLISHED,
                    "miss",
                    due_kind="review",
                    due_ms=now_ms + ttl_ms,
                    duration_ms=20.0,
                    computed_at_ms=now_ms,
                    fresh_until_ms=now_ms + ttl_ms,
                )
                for ref in refs
            ]
        )

    def read(self, reads_of: Mapping[str, int], missed: bool = False) -> None:
        """Flush reads: how many of each target."""
        batch = [(ref, "", *((0, n) if missed else (n, 0)), [], 0, 0, 0) for ref, n in reads_of.items()]
        self.store.reads.flush("benchmark", next(self._flushes), batch)

    def review(self, refs: Sequence[str]) -> None:
        """Decide on these targets, as the scheduler that leads does."""
        self.store.control.zadd(self.store.keys.reviews, dict.fromkeys(refs, 1))
        self.store.fleet.lead(LEADER, timeout_s=3600)
        self._review_loop.run()

    def remembered(self) -> int:
        """Return of how many targets anything is remembered."""
        return int(self.store.control.hget(self.store.keys.history_meta, "histories") or 0)

    def hottest(self, wanted: int) -> list[str]:
        """Return the targets that are taken to be read most."""
        return [hot.ref for hot in self.store.reads.hottest(wanted)[1]]

    def knows(self, ref: str) -> bool:
        """Whether anything is remembered of a target."""
        return bool(self.store.targets.states([ref]).targets[0].history)


def chunks(refs: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield them in lists that one call takes."""
    for first in range(0, len(refs), AT_ONCE):
        yield refs[first : first + AT_ONCE]
