"""The flow of a refresh as tests drive it: they claim, compute and complete as workers do, and look at targets."""

import threading
from collections.abc import Iterable
from typing import Any, Literal

from tests.support.runtimes import runtime_of
from warmer.engine.claims import computed_here
from warmer.refresh.request import LeasedWork
from warmer.store import Capacity, ClaimBatch, DueKind, Outcome, Result, Store
from warmer_workers.drain import Drain
from warmer_workers.job_context import JobContext


def claim(store: Store, count: int, unknown_ids: Iterable[str] = (), **options: Any) -> ClaimBatch:
    """Claim for so many threads."""
    return store.refreshes.claim(Capacity(threads=count), unknown_ids, **options)


def refs(batch: ClaimBatch) -> list[str]:
    """What was claimed, in its order."""
    return [claimed.ref for claimed in batch.claims]


def outcome(
    ref: str,
    token: str,
    due: tuple[DueKind, int],
    result: Result = Result.PUBLISHED,
    origin: Literal["warm", "miss"] = "warm",
    duration_ms: float = 5.0,
    **more: Any,
) -> Outcome:
    """How one refresh ended, and when its target is due next."""
    return Outcome(ref, token, result, origin, *due, duration_ms, **more)


def complete(store: Store, *outcomes: Outcome) -> bool:
    """Complete refreshes; says whether all their claims were still held."""
    return store.refreshes.complete(outcomes).lost == ()


def take_one(warmer: Any) -> LeasedWork:
    """Claim the best ready target, which has to be computed."""
    taken = runtime_of(warmer).claims.take(Capacity(threads=1))
    assert len(taken.works) == 1, taken
    work: LeasedWork = taken.works[0]
    return work


def carry_out(warmer: Any, work: LeasedWork) -> Result:
    """Compute what was claimed, and complete it; returns how that ended."""
    (ended,) = runtime_of(warmer).claims.publish([work], [computed_here(work)])
    result: Result = ended.result
    return result


def work_off(warmer: Any) -> list[Result]:
    """Refresh what is ready, one after the other, until nothing is; returns how each ended."""
    results: list[Result] = []
    while (taken := runtime_of(warmer).claims.take(Capacity(threads=1))).claimed:
        results += [ended.result for ended in taken.ended]
        results += [carry_out(warmer, work) for work in taken.works]
    return results


def drain(warmer: Any, stop: threading.Event | None = None) -> int:
    """Drain as a worker does, until nothing is left; returns how many targets were refreshed."""
    return Drain(JobContext(runtime_of(warmer), "worker-1", stop or threading.Event(), is_burst=True)).run()


def server_ms(store: Store) -> int:
    """What time it is for Redis."""
    seconds, micros = store.control.time()
    return int(seconds) * 1000 + int(micros) // 1000


def places_of(store: Store, ref: str) -> dict[str, float]:
    """Everywhere a target stands, and with which time: "due", "reviewed", "ready", "asked" or "claimed"."""
    keys, task_id = store.keys, ref.partition("{")[0]
    named = {
        "due": keys.due,
        "reviewed": keys.reviews,
        "ready": keys.scheduled_queue + task_id,
        "asked": keys.on_demand_queue + task_id,
        "claimed": keys.claims,
    }
    scores = {place: store.control.zscore(key, ref) for place, key in named.items()}
    return {place: score for place, score in scores.items() if score is not None}


def let_all_be_due(store: Store) -> None:
    """Let the time have come of all that is due later, or was asked for and waits for another computation."""
    now_ms = server_ms(store)
    for ref in store.control.zrange(store.keys.due, 0, -1):
        store.control.zadd(store.keys.due, {ref: now_ms})
    for queue in store.control.scan_iter(f"{store.keys.on_demand_queue}*"):
        for ref in store.control.zrange(queue, 0, -1):
            store.control.zadd(queue, {ref: now_ms}, lt=True)
    store.refreshes.tick()


def what_is_left(store: Store) -> dict[str, int]:
    """How much there is anywhere in the flow, of what is not nothing."""
    control, keys = store.control, store.keys
    sizes = {
        "due": control.zcard(keys.due),
        "reviews": control.zcard(keys.reviews),
        "claims": control.zcard(keys.claims),
        "claim_records": control.hlen(keys.claim_records),
        "failures": control.hlen(keys.failures),
        "crash_suspects": control.hlen(keys.crash_suspects),
        "fresh_ok": control.scard(keys.fresh_ok),
        "must_recompute": control.scard(keys.must_recompute),
        "rerun": control.scard(keys.rerun),
        "fair_queues": control.scard(keys.fair_queues),
    }
    for prefix in (
        keys.scheduled_queue,
        keys.on_demand_queue,
        keys.fair_queue,
        keys.oldest,
        keys.limit_holders,
        keys.watchers,
    ):
        for key in control.scan_iter(f"{prefix}*"):
            sizes[key.decode()] = 1
    return {name: size for name, size in sizes.items() if size}
