"""The real state of all dashboards at one moment, as the fleet's Redis tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from warmer import Warmer
from warmer.client.warmer import runtime_of
from warmer.codec.entry import Header, unpack
from warmer.engine.reviews import PolicyState, budgets_of
from warmer.policy.model import chance_of
from warmer.results import TaskDetail, WarmingStats
from warmer.store import Store

MOST_TARGETS = 1000

Standing = Literal["computing", "waiting", "planned", "lapsing"]


@dataclass(frozen=True, slots=True)
class Target:
    """One dashboard.

    Args:
        name: What people call it.
        priority: Higher first.
        is_critical: Whether it is kept warm whatever its reads.
        is_requested: Whether somebody has asked for it by hand.
        ttl_s: For how long a value is fresh.
        reads_per_s: Its decayed read rate, as warming sees it.
        standing: Being computed, waiting for a worker, planned for later, or left to lapse.
        fresh_for_s: Seconds for which the present value is still fresh; None if there is none.
        computed_in_ms: How long computing the present value took; None if there is none.
    """

    name: str
    priority: int
    is_critical: bool
    is_requested: bool
    ttl_s: float
    reads_per_s: float
    standing: Standing
    fresh_for_s: float | None
    computed_in_ms: float | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it.

    Args:
        stats: The fleet's own statistics.
        targets: Every dashboard, most important first, then the most read.
        price: The chance of a read within one ttl that makes a refresh worth it at present.
    """

    stats: WarmingStats
    targets: list[Target]
    price: float


def take(warmer: Warmer) -> Snapshot:
    """Look at the fleet.

    Raises:
        StoreUnavailableError: Redis did not answer.
        redis.RedisError: Redis did not answer.
    """
    stats, store = warmer.stats(), runtime_of(warmer).store
    definitions = store.tasks.definitions()
    rates = {hot.ref: hot.reads_per_s for hot in store.reads.hottest(MOST_TARGETS)[1]}
    # What is claimed and what was asked for has no method of its own: only this screen wants to know.
    claimed = {ref.decode() for ref in store.control.zrange(store.keys.claims, 0, -1)}
    requested = _asked_for(store, list(definitions))
    now_ms = runtime_of(warmer).clock.now_ms()

    def target_of(task: TaskDetail, definition: dict[str, Any]) -> Target:
        header = _header(store.entries.read(definition["cache_key"]))
        return Target(
            name=task.name,
            priority=task.priority,
            is_critical=task.is_critical,
            is_requested=task.task_id in requested,
            ttl_s=definition["ttl"],
            reads_per_s=rates.get(task.task_id, 0.0),
            standing="computing" if task.task_id in claimed else _standing(task, now_ms),
            fresh_for_s=None if header is None else max(0.0, (header.fresh_until_ms - now_ms) / 1000),
            computed_in_ms=None if header is None else header.compute_us / 1000,
        )

    targets = [target_of(task, definitions[task.task_id]) for task in stats.task_details]
    ranked = sorted(targets, key=lambda target: (-target.priority, -target.reads_per_s))
    return Snapshot(stats, ranked, _price(warmer))


def _price(warmer: Warmer) -> float:
    mind = PolicyState(runtime_of(warmer).store.targets.states([]).memory)
    mind.know(budgets_of(runtime_of(warmer).store, warmer.settings, []))
    return chance_of(mind.price_of("").log_odds)


def _asked_for(store: Store, task_ids: list[str]) -> set[str]:
    """Return what somebody has asked for by hand, be it waiting or claimed already."""
    pipeline = store.control.pipeline(transaction=False)
    pipeline.hgetall(store.keys.tokens)
    for task_id in task_ids:
        pipeline.zscore(store.keys.asked + task_id, task_id)
    claimed, *waiting = pipeline.execute()
    asked = {ref.decode() for ref, text in claimed.items() if text.split(b"|")[2] == b"a"}
    return asked | {task_id for task_id, since in zip(task_ids, waiting, strict=True) if since is not None}


def _header(entry: bytes | None) -> Header | None:
    unpacked = unpack(entry)
    return None if unpacked is None else unpacked[0]


def _standing(task: TaskDetail, now_ms: int) -> Standing:
    if task.next_run is None:
        return "lapsing"
    return "planned" if 1000 * task.next_run.timestamp() > now_ms else "waiting"
