"""Looks at what stands in Redis, for a plan; changes nothing."""

from collections.abc import Callable, Mapping, Sequence

from warmer.brain import Mind, knobs_of
from warmer.errors import InvalidTaskError
from warmer.planning.outlook import Candidate, KnownTask, Outlook
from warmer.policy.history import History
from warmer.settings import Settings
from warmer.store import Look, Places, Standing, Store
from warmer.store.lane import lane_in
from warmer.store.limituse import limits_in_use
from warmer.store.upcoming import Upcoming, UpcomingTargets
from warmer.task import WarmingTask

MOST_TARGETS = 100_000
"""Targets that one plan looks at, those that come first."""

Progress = Callable[[int, int], object]
"""Takes how many targets were looked at, and how many will be."""


def survey(
    store: Store,
    settings: Settings,
    horizon_s: float,
    progress: Progress = lambda done, total: None,
) -> Outlook:
    """Return all that a plan depends on.

    Args:
        store: Where to look.
        settings: The tick, and the fleet's knob.
        horizon_s: How far ahead to look.
        progress: Is told how far it is.

    Raises:
        redis.RedisError: Redis did not answer.
    """
    look = store.look([])
    upcoming = UpcomingTargets(store.control, store.keys, look.now_ms + round(1000 * horizon_s))
    found = len(upcoming)
    most = min(found, MOST_TARGETS)
    candidates: dict[str, Candidate] = {}
    accounts: set[str | None] = set()
    for page in upcoming.pages(MOST_TARGETS):
        standings = store.look([one.ref for one in page]).targets
        accounts.update(standing.account for standing in standings)
        for candidate in _candidates(store, page, standings):
            candidates.setdefault(candidate.ref, candidate)
        progress(min(len(candidates), most), most)
    places = store.places_of_workers()
    return Outlook(
        now_s=look.now_ms / 1000,
        switch=look.switch,
        has_scheduler=store.has_leader(),
        tick_s=settings.tick_s,
        candidates=list(candidates.values()),
        found=found,
        tasks=_known_tasks(store),
        mind=_mind(store, settings, look, accounts),
        quarantined=frozenset(record.name for record in store.quarantined()),
        workers=len(places),
        places=Places(*map(sum, zip(Places(), *places.values(), strict=True))),
        limits={used.name: used.limit for used in limits_in_use(store.control, store.keys)},
    )


def _mind(store: Store, settings: Settings, look: Look, accounts: set[str | None]) -> Mind:
    mind = Mind(look.memory)
    mind.know(knobs_of(store, settings, accounts))
    return mind


def _candidates(store: Store, page: Sequence[Upcoming], standings: Sequence[Standing]) -> list[Candidate]:
    refs = [one.ref for one in page]
    pipeline = store.control.pipeline(transaction=False)
    pipeline.hmget(store.keys.failures, refs)
    pipeline.smismember(store.keys.ensure, refs)
    pipeline.smismember(store.keys.forced, refs)
    failures, ensured, forced = pipeline.execute()
    return [
        Candidate(
            one.ref,
            one.spot,
            one.at_ms / 1000,
            History.unpack(standing.history) if standing.history else None,
            int(failed or 0),
            not is_forced if one.spot == "asked" else bool(is_ensured),
        )
        for one, standing, failed, is_ensured, is_forced in zip(page, standings, failures, ensured, forced, strict=True)
    ]


def _known_tasks(store: Store) -> dict[str, KnownTask]:
    definitions = {task_id: record for task_id, record in store.definitions().items() if record["enabled"]}
    lanes = store.lanes()
    task_ids = [task_id for task_id in definitions if task_id in lanes]
    known = {}
    for task_id, counted in zip(task_ids, store.task_stats(task_ids), strict=True):
        try:
            task = WarmingTask.from_definition(definitions[task_id])
        except InvalidTaskError:  # of a newer version: whoever runs it knows it
            continue
        known[task_id] = _known(task, lanes[task_id], counted)
    return known


def _known(task: WarmingTask, lane: str, counted: Mapping[str, str]) -> KnownTask:
    def number(name: str) -> float:
        return float(counted.get(name, 0.0))

    computed = number("warmings") + number("computed_misses")
    return KnownTask(
        task,
        lane_in(lane),
        number("p95_ms") / 1000,
        number("wait_ms") / 1000,
        (number("total_ms") + number("miss_ms")) / 1000 / computed if computed else 0.0,
    )
