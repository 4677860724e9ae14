"""Read-only snapshot of the fleet's state in Redis, from which a plan starts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from warmer.engine.policy_state import PolicyState, budgets_of
from warmer.errors import InvalidTaskError
from warmer.policy.history import History
from warmer.settings import Settings
from warmer.store import Capacity, Store, TargetState, TargetStates
from warmer.store.control.upcoming import Upcoming, UpcomingState
from warmer.store.task_spec import TaskSpec, parse_task_spec
from warmer.tasks.limit import Limit
from warmer.tasks.switch import Switch
from warmer.tasks.target import task_id_of
from warmer.tasks.task import WarmingTask

MAX_TARGETS = 100_000
"""A plan covers the first of them."""

Progress = Callable[[int, int], object]
"""Called with the number of targets read so far, and of all."""


class TaskProfile(NamedTuple):
    """A task and its timing.

    Args:
        task: The task; it cannot be run from here.
        spec: Its routing: priority, executor, limit, batch size.
        compute_p95_s: The 95th percentile of its compute times; 0 when unknown.
        queue_wait_s: How long its targets wait between due and claimed.
        mean_cost_s: Mean compute time; 0 when unknown.
    """

    task: WarmingTask
    spec: TaskSpec
    compute_p95_s: float
    queue_wait_s: float
    mean_cost_s: float


@dataclass(slots=True)
class Candidate:
    """A target that may be computed.

    Args:
        ref: Its canonical text.
        state: Its state in the flow of refreshes.
        at_s: When it came into this state; or when it is due or reviewed.
        history: Its reads; None if there are none.
        failures: Failures in a row.
        fresh_ok: Whether a fresh value satisfies the request for it.
    """

    ref: str
    state: UpcomingState
    at_s: float
    history: History | None
    failures: int = 0
    fresh_ok: bool = False

    @property
    def task_id(self) -> str:
        """The id of its task."""
        return task_id_of(self.ref)


@dataclass(frozen=True)
class Snapshot:
    """The state that a plan starts from.

    Args:
        now_s: The server's time.
        switch: The fleet's switch.
        has_scheduler: Whether a scheduler is alive.
        tick_s: Its interval.
        candidates: Targets that may be computed.
        found: How many there are, with those beyond `MAX_TARGETS`.
        tasks: Enabled tasks, by id.
        policy_state: What the policy has learnt; a copy that the rehearsal changes.
        quarantined: Refs and task ids that are no longer computed.
        workers: Workers alive.
        capacity: Computations that they can run at once, together.
        limits: The declared limits, by name.
    """

    now_s: float
    switch: Switch
    has_scheduler: bool
    tick_s: float
    candidates: Sequence[Candidate]
    found: int
    tasks: Mapping[str, TaskProfile]
    policy_state: PolicyState
    quarantined: frozenset[str]
    workers: int
    capacity: Capacity
    limits: Mapping[str, Limit]


def take_snapshot(
    store: Store,
    settings: Settings,
    horizon_s: float,
    progress: Progress = lambda done, total: None,
) -> Snapshot:
    """Read the state that a plan starts from; nothing is changed.

    Args:
        store: Where it is read.
        settings: The tick, and the fleet's budget.
        horizon_s: How far ahead to look.
        progress: See `Progress`.

    Raises:
        redis.RedisError: Redis did not answer.
    """
    states = store.targets.states([])
    upcoming = store.targets.upcoming(states.now_ms + round(1000 * horizon_s))
    found = len(upcoming)
    total = min(found, MAX_TARGETS)
    candidates: dict[str, Candidate] = {}
    accounts: set[str | None] = set()
    for page in upcoming.pages(MAX_TARGETS):
        targets = store.targets.states([one.ref for one in page]).targets
        accounts.update(target.account for target in targets)
        for candidate in map(_candidate, page, targets):
            candidates.setdefault(candidate.ref, candidate)
        progress(min(len(candidates), total), total)
    capacities = store.fleet.capacities()
    return Snapshot(
        now_s=states.now_ms / 1000,
        switch=states.switch,
        has_scheduler=store.fleet.has_leader(),
        tick_s=settings.tick_s,
        candidates=list(candidates.values()),
        found=found,
        tasks=_profiles(store),
        policy_state=_policy_state(store, settings, states, accounts),
        quarantined=frozenset(record.name for record in store.quarantine.records()),
        workers=len(capacities),
        capacity=Capacity(*map(sum, zip(Capacity(), *capacities.values(), strict=True))),
        limits={used.name: used.limit for used in store.limits.in_use()},
    )


def _policy_state(store: Store, settings: Settings, states: TargetStates, accounts: set[str | None]) -> PolicyState:
    policy_state = PolicyState(states.policy_state)
    policy_state.set_budgets(budgets_of(store, settings, accounts))
    return policy_state


def _candidate(upcoming: Upcoming, target: TargetState) -> Candidate:
    history = History.unpack(target.history) if target.history else None
    return Candidate(upcoming.ref, upcoming.state, upcoming.at_ms / 1000, history, upcoming.failures, upcoming.fresh_ok)


def _profiles(store: Store) -> dict[str, TaskProfile]:
    definitions = {task_id: record for task_id, record in store.tasks.definitions().items() if record["enabled"]}
    specs = store.tasks.specs()
    task_ids = [task_id for task_id in definitions if task_id in specs]
    profiles = {}
    for task_id, counted in zip(task_ids, store.stats.of_tasks(task_ids), strict=True):
        try:
            task = WarmingTask.from_definition(definitions[task_id])
        except InvalidTaskError:  # of a newer version, unknown here
            continue
        profiles[task_id] = _profile(task, specs[task_id], counted)
    return profiles


def _profile(task: WarmingTask, spec: str, counted: Mapping[str, str]) -> TaskProfile:
    def number(name: str) -> float:
        return float(counted.get(name, 0.0))

    computed = number("warmings") + number("computed_misses")
    return TaskProfile(
        task,
        parse_task_spec(spec),
        number("p95_ms") / 1000,
        number("wait_ms") / 1000,
        (number("total_ms") + number("miss_ms")) / 1000 / computed if computed else 0.0,
    )
