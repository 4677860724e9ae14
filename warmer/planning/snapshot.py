"""Looks at what stands in Redis, for a plan; changes nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from warmer.engine.reviews import PolicyState, budgets_of
from warmer.errors import InvalidTaskError
from warmer.policy.history import History
from warmer.settings import Settings
from warmer.store import Capacity, Store, TargetState, TargetStates
from warmer.store.limit_usage import limits_in_use
from warmer.store.task_spec import TaskSpec, parse_task_spec
from warmer.store.upcoming import Spot, Upcoming, UpcomingTargets
from warmer.tasks.limit import Limit
from warmer.tasks.switch import Switch
from warmer.tasks.target import task_id_of
from warmer.tasks.task import WarmingTask


class KnownTask(NamedTuple):
    """A task, and how long it takes.

    Args:
        task: The task; it cannot be run from here.
        lane: What its targets need.
        compute_p95_s: What 95 of 100 computations stay under; 0 when unknown.
        queue_wait_s: How long its targets wait between due and claimed.
        mean_cost_s: What a computation takes on average; 0 when unknown.
    """

    task: WarmingTask
    lane: TaskSpec
    compute_p95_s: float
    queue_wait_s: float
    mean_cost_s: float


@dataclass(slots=True)
class Candidate:
    """A target that may be computed.

    Args:
        ref: Its canonical text.
        spot: Where it stands.
        at_s: Since when, or when it is due or reviewed.
        history: What is remembered of its reads; None if nothing is.
        failures: Failures in a row.
        fresh_will_do: Whether it is not computed while its value is fresh.
    """

    ref: str
    spot: Spot
    at_s: float
    history: History | None
    failures: int = 0
    fresh_will_do: bool = False

    @property
    def task_id(self) -> str:
        """The id of its task."""
        return task_id_of(self.ref)


@dataclass(frozen=True)
class Snapshot:
    """All that a plan depends on.

    Args:
        now_s: The server's time.
        switch: The fleet's switch.
        has_scheduler: Whether a scheduler is alive.
        tick_s: How often it looks.
        candidates: Targets that may be computed.
        found: How many of them there are, looked at or not.
        tasks: Enabled tasks, by id.
        mind: What was learnt; it decides, so it is a copy that is thrown away.
        quarantined: Refs, and ids of tasks, that are computed no more.
        workers: Workers alive.
        places: How much they can do at once, together.
        limits: The limits that are declared, by name.
    """

    now_s: float
    switch: Switch
    has_scheduler: bool
    tick_s: float
    candidates: Sequence[Candidate]
    found: int
    tasks: Mapping[str, KnownTask]
    mind: PolicyState
    quarantined: frozenset[str]
    workers: int
    places: Capacity
    limits: Mapping[str, Limit]


MOST_TARGETS = 100_000
"""Targets that one plan looks at, those that come first."""

Progress = Callable[[int, int], object]
"""Takes how many targets were looked at, and how many will be."""


def take_snapshot(
    store: Store,
    settings: Settings,
    horizon_s: float,
    progress: Progress = lambda done, total: None,
) -> Snapshot:
    """Return all that a plan depends on.

    Args:
        store: Where to look.
        settings: The tick, and the fleet's knob.
        horizon_s: How far ahead to look.
        progress: Is told how far it is.

    Raises:
        redis.RedisError: Redis did not answer.
    """
    look = store.targets.states([])
    upcoming = UpcomingTargets(store.control, store.keys, look.now_ms + round(1000 * horizon_s))
    found = len(upcoming)
    most = min(found, MOST_TARGETS)
    candidates: dict[str, Candidate] = {}
    accounts: set[str | None] = set()
    for page in upcoming.pages(MOST_TARGETS):
        standings = store.targets.states([one.ref for one in page]).targets
        accounts.update(standing.account for standing in standings)
        for candidate in _candidates(store, page, standings):
            candidates.setdefault(candidate.ref, candidate)
        progress(min(len(candidates), most), most)
    places = store.fleet.capacities()
    return Snapshot(
        now_s=look.now_ms / 1000,
        switch=look.switch,
        has_scheduler=store.fleet.has_leader(),
        tick_s=settings.tick_s,
        candidates=list(candidates.values()),
        found=found,
        tasks=_known_tasks(store),
        mind=_mind(store, settings, look, accounts),
        quarantined=frozenset(record.name for record in store.quarantine.records()),
        workers=len(places),
        places=Capacity(*map(sum, zip(Capacity(), *places.values(), strict=True))),
        limits={used.name: used.limit for used in limits_in_use(store.control, store.keys)},
    )


def _mind(store: Store, settings: Settings, look: TargetStates, accounts: set[str | None]) -> PolicyState:
    mind = PolicyState(look.memory)
    mind.know(budgets_of(store, settings, accounts))
    return mind


def _candidates(store: Store, page: Sequence[Upcoming], standings: Sequence[TargetState]) -> list[Candidate]:
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
    definitions = {task_id: record for task_id, record in store.tasks.definitions().items() if record["enabled"]}
    lanes = store.tasks.specs()
    task_ids = [task_id for task_id in definitions if task_id in lanes]
    known = {}
    for task_id, counted in zip(task_ids, store.stats.of_tasks(task_ids), strict=True):
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
        parse_task_spec(lane),
        number("p95_ms") / 1000,
        number("wait_ms") / 1000,
        (number("total_ms") + number("miss_ms")) / 1000 / computed if computed else 0.0,
    )
