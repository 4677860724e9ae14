"""Every call that the benchmarks make into warmer's store: what changes there is followed up here, and nowhere else."""

import time
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from warmer import Settings, Warmer, WarmingTask
from warmer.store import Batch, Outcome, Places, Result

AT_ONCE = 500
"""Targets in one call: more would keep Redis from answering others."""


def fleet_at(url: str, namespace: str, **settings: Any) -> Warmer:
    """Return a `Warmer` of a namespace."""
    return Warmer(Settings.load(redis_url=url, namespace=namespace, **settings))


def ask_for(warmer: Warmer, refs: Sequence[str]) -> None:
    """Ask for targets to be warmed, and let workers know; does not wait.

    Raises:
        SystemExit: some of them cannot be asked for.
    """
    for some in chunks(refs):
        answers = set(warmer.store.request(some, force=True))
        if answers != {"asked"}:
            raise SystemExit(f"{some[0]} and so on: expected to be asked for, got {answers}")


def call_workers(warmer: Warmer, workers: int) -> None:
    """Have something waiting for each of so many workers that are still to come."""
    warmer.queue.hint(workers)


def warmed_so_far(warmer: Warmer) -> int:
    return int(warmer.store.totals().get("warmings", 0))


def failed_so_far(warmer: Warmer) -> int:
    return int(warmer.store.totals().get("failed", 0))


class Flow:
    """The ways that targets of one task take through the store, without a worker and without values.

    Args:
        warmer: Of the namespace.
        task: The task.
    """

    def __init__(self, warmer: Warmer, task: WarmingTask) -> None:
        self._store = warmer.store
        self._warmer = warmer
        self._task = task
        self._flushes = count(1)
        warmer.start()
        warmer.register(task)

    def ask(self, refs: Sequence[str]) -> None:
        ask_for(self._warmer, refs)

    def claim(self, wanted: int) -> Batch:
        return self._store.claim(Places(threads=wanted))

    def finish(self, batch: Batch) -> None:
        """End claims as a worker does that has published their values: due again before these expire."""
        lifetime_ms = round(1000 * self._task.ttl)
        self._store.complete(
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
                    verdict_ms=batch.now_ms,
                    wasted_at_ms=batch.now_ms + lifetime_ms,
                )
                for claim in batch.claims
            ]
        )

    def read(self, refs: Sequence[str]) -> None:
        """Count one read of each target."""
        for some in chunks(refs):
            self._store.flush("benchmark", next(self._flushes), [(ref, "", 1, 0, [], 0) for ref in some])

    def make_due(self, refs: Sequence[str]) -> None:
        now_ms = round(1000 * time.time())
        for ref in refs:
            self._store.reschedule(ref, now_ms)

    def tick(self) -> int:
        """Return how many targets one tick has made ready."""
        return self._store.tick().moved


def chunks(refs: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield them in lists that one call takes."""
    for first in range(0, len(refs), AT_ONCE):
        yield refs[first : first + AT_ONCE]
