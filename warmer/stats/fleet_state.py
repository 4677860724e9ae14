"""State of the whole fleet now: its tasks, workers, queues, limits and quarantine."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from warmer.policy.history import History
from warmer.results import LimitUse, QuarantinedTarget, TaskDetail, WarmingStats
from warmer.stats.budgets import budget_states
from warmer.stats.ledger import ledger_of, performance_of
from warmer.store import Quarantined, Store, TargetState
from warmer.store.control.limits import LimitInUse

INCIDENTS = ("read_errors", "dropped_reads", "unrecorded_misses", "lapsed_claims", "lost_leases", "crashes")


def stats(store: Store) -> WarmingStats:
    """Return the state of the whole fleet.

    Raises:
        redis.RedisError: Redis did not answer.
    """
    definitions = sorted(
        store.tasks.definitions().values(), key=lambda record: (-record["priority"], record["task_id"])
    )
    task_ids = [record["task_id"] for record in definitions]
    counters, look = store.stats.of_tasks(task_ids), store.targets.states(task_ids)
    totals = store.stats.totals()
    alive = store.fleet.has_leader()
    return WarmingStats(
        tasks=len(definitions),
        critical_keys=sum(record["critical"] and record["enabled"] for record in definitions),
        running=store.switch.get().on and alive,
        users_preloaded=int(totals.get("users_preloaded", 0)),
        performance=performance_of(totals, store.stats.recent_durations_ms(), budget_states(store)),
        task_details=[
            _detail(record, counted, next_run_ms(standing, look.now_ms))
            for record, counted, standing in zip(definitions, counters, look.targets, strict=True)
        ],
        workers=len(store.fleet.live_workers()),
        scheduler_alive=alive,
        backlog=store.targets.backlog(),
        incidents={kind: int(totals.get(kind, 0)) for kind in INCIDENTS},
        quarantined=[_quarantined(record) for record in store.quarantine.records()],
        limits=[_limit_use(used) for used in store.limits.in_use()],
    )


def next_run_ms(standing: TargetState, now_ms: int) -> int | None:
    """Return when a target is computed next, as far as it is known; None if it is left to expire.

    Args:
        standing: Where it stands.
        now_ms: Now, for one that is being computed or waits for a worker.
    """
    if standing.place == "busy":
        return now_ms
    if standing.place == "due":
        return standing.at_ms
    is_fresh = standing.history and History.unpack(standing.history).fresh_until_s > now_ms / 1000
    return standing.at_ms if standing.place == "review" and is_fresh else None


def _detail(record: Mapping[str, Any], counted: Mapping[str, str], due_ms: int | None) -> TaskDetail:
    counters = {name: float(value) for name, value in counted.items() if name != "last_error"}
    runs = int(counted.get("warmings", 0))
    last_run_ms = counted.get("last_run_ms")
    return TaskDetail(
        **dict(ledger_of(counters).items()),
        task_id=record["task_id"],
        name=record["name"],
        enabled=record["enabled"],
        priority=record["priority"],
        is_critical=record["critical"],
        run_count=runs,
        fail_count=int(counted.get("failed", 0)),
        avg_duration_ms=float(counted.get("total_ms", 0.0)) / runs if runs else 0.0,
        last_run=_moment(int(last_run_ms)) if last_run_ms else None,
        next_run=_moment(due_ms) if due_ms is not None else None,
        last_error=counted.get("last_error"),
        hits=int(counted.get("hits", 0)),
        misses=int(counted.get("misses", 0)),
    )


def _quarantined(record: Quarantined) -> QuarantinedTarget:
    return QuarantinedTarget(name=record.name, since=_moment(record.since_ms), deaths=record.deaths, error=record.why)


def _limit_use(used: LimitInUse) -> LimitUse:
    return LimitUse(
        name=used.name,
        concurrency=used.limit.concurrency,
        in_use=used.slots,
        readers=used.readers,
        rate_per_s=used.limit.rate_per_s,
        may_begin=used.tokens,
    )


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
