"""All that a plan depends on, as it was found at one moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from warmer.brain import Mind
from warmer.limit import Limit
from warmer.policy.history import History
from warmer.store import Places
from warmer.store.lane import Lane
from warmer.store.upcoming import Spot
from warmer.switch import Switch
from warmer.task import WarmingTask


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
    lane: Lane
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
        return self.ref.partition("{")[0]


@dataclass(frozen=True)
class Outlook:
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
    mind: Mind
    quarantined: frozenset[str]
    workers: int
    places: Places
    limits: Mapping[str, Limit]
