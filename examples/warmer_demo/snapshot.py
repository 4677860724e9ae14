"""Snapshot of the fleet: the state of every dashboard at one moment."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from warmer import Warmer
from warmer.client.warmer import runtime_of
from warmer.codec.entry import Header, unpack
from warmer.results import TaskDetail, WarmingStats
from warmer.store import Store

MAX_TARGETS = 1000

State = Literal["computing", "waiting", "planned", "expiring"]


@dataclass(frozen=True, slots=True)
class Target:
    """One dashboard.

    Args:
        name: Its name on the screen.
        priority: Higher first.
        is_critical: Whether it is kept warm with or without reads.
        is_requested: Whether a refresh on demand is pending.
        ttl_s: For how long a value is fresh.
        reads_per_s: Its decayed read rate, as the policy sees it.
        state: It is being computed, waits for a worker, is planned for later, or will expire.
        fresh_for_s: Seconds for which the present value is still fresh; None if there is none.
        compute_ms: How long the computation of the present value took; None if there is none.
    """

    name: str
    priority: int
    is_critical: bool
    is_requested: bool
    ttl_s: float
    reads_per_s: float
    state: State
    fresh_for_s: float | None
    compute_ms: float | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the fleet.

    Args:
        stats: The statistics of the fleet.
        targets: Every dashboard, by priority and then by reads.
        threshold: The chance of a read within one ttl from which on a refresh is worth it.
    """

    stats: WarmingStats
    targets: list[Target]
    threshold: float


def take(warmer: Warmer, requested: Collection[str]) -> Snapshot:
    """Take a snapshot.

    Args:
        warmer: The fleet.
        requested: Refs of the targets with a pending refresh on demand.

    Raises:
        StoreUnavailableError: Redis did not answer.
        redis.RedisError: Redis did not answer.
    """
    stats, runtime = warmer.stats(), runtime_of(warmer)
    definitions = runtime.store.tasks.definitions()
    rates = {hot.ref: hot.reads_per_s for hot in runtime.store.reads.hottest(MAX_TARGETS)[1]}
    now_ms = runtime.clock.now_ms()
    claimed = _claimed(runtime.store, now_ms)

    def target_of(task: TaskDetail, definition: dict[str, Any]) -> Target:
        header = _header(runtime.store.entries.read(definition["cache_key"]))
        return Target(
            name=task.name,
            priority=task.priority,
            is_critical=task.is_critical,
            is_requested=task.task_id in requested,
            ttl_s=definition["ttl"],
            reads_per_s=rates.get(task.task_id, 0.0),
            state="computing" if task.task_id in claimed else _state(task, now_ms),
            fresh_for_s=None if header is None else max(0.0, (header.fresh_until_ms - now_ms) / 1000),
            compute_ms=None if header is None else header.compute_us / 1000,
        )

    targets = [target_of(task, definitions[task.task_id]) for task in stats.task_details]
    ranked = sorted(targets, key=lambda target: (-target.priority, -target.reads_per_s))
    return Snapshot(stats, ranked, stats.performance.budgets[0].threshold)


def _claimed(store: Store, now_ms: int) -> set[str]:
    pages = store.targets.upcoming(now_ms).pages(MAX_TARGETS)
    return {target.ref for page in pages for target in page if target.state == "claimed"}


def _header(entry: bytes | None) -> Header | None:
    unpacked = unpack(entry)
    return None if unpacked is None else unpacked[0]


def _state(task: TaskDetail, now_ms: int) -> State:
    if task.next_run is None:
        return "expiring"
    return "planned" if 1000 * task.next_run.timestamp() > now_ms else "waiting"
