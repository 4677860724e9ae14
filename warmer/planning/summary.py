"""Adds up a rehearsal into a plan: by target, task, limit and executor."""

from collections.abc import Callable, Hashable, Iterable
from datetime import UTC, datetime
from typing import Literal, TypeVar

from warmer.planning.planned import Plan, PlannedExecutor, PlannedLimit, PlannedTarget, PlannedTask
from warmer.planning.rehearsal import Rehearsal, SkippedTarget
from warmer.planning.snapshot import Snapshot
from warmer.planning.target_timeline import TargetTimeline
from warmer.store.control.limits import ONE_AT_A_TIME
from warmer.tasks.limit import Limit

EXECUTORS: tuple[tuple[str, Literal["thread", "loop", "process"], str], ...] = (
    ("t", "thread", "threads"),
    ("l", "loop", "loop"),
    ("p", "process", "processes"),
)
"""Of each kind: the letter in task specs, its name in plans, and the field of `Capacity`."""

NO_EXECUTOR = {
    "t": "no worker has a thread",
    "l": "no worker runs async functions",
    "p": "no worker has processes for isolated tasks",
}

Group = TypeVar("Group", bound=Hashable)


def plan_of(snapshot: Snapshot, rehearsal: Rehearsal, task_id: str | None = None) -> Plan:
    """Return the plan of a rehearsal.

    Args:
        snapshot: The state at its beginning.
        rehearsal: The simulated refreshes.
        task_id: Shows this task alone; all tasks when not given. The totals of executors are always those of all tasks.
    """
    span_s = rehearsal.until_s - snapshot.now_s
    timelines = [one for one in rehearsal.timelines if task_id in (None, one.candidate.task_id)]
    skipped = [one for one in rehearsal.skipped if task_id in (None, one.candidate.task_id)]
    return Plan(
        now=_datetime(snapshot.now_s),
        minutes=span_s / 60,
        is_on=snapshot.switch.on,
        scheduler_alive=snapshot.has_scheduler,
        workers=snapshot.workers,
        targets_found=snapshot.found,
        targets_looked_at=len(snapshot.candidates),
        refreshes=sum(timeline.refreshes for timeline in timelines),
        compute_s=sum(map(_compute_s, timelines)),
        tasks=_tasks(timelines, snapshot),
        limits=_limits(timelines, snapshot, span_s),
        executors=_executors(rehearsal.timelines, snapshot, span_s),
        targets=_targets(timelines, skipped, snapshot),
    )


def problem_of(timeline: TargetTimeline, snapshot: Snapshot) -> str | None:
    """Return why a target cannot be kept warm with the present workers; None if it can, or need not."""
    profile = timeline.profile
    if not (timeline.refreshes or timeline.is_waiting):
        return None
    slowest_s = max(profile.compute_p95_s, timeline.cost_s)
    if slowest_s >= profile.task.ttl:
        return f"its computation takes {slowest_s:.1f} s, and its ttl is {profile.task.ttl:g} s"
    if getattr(snapshot.capacity, _field(profile.spec.kind)) == 0:
        return NO_EXECUTOR[profile.spec.kind]
    if timeline.late:
        times = f"late {timeline.late} times, by up to" if timeline.late > 1 else "late by"
        return f"{times} {timeline.late_s:.1f} s"
    return "still waits for a worker at the end" if timeline.is_waiting else None


def _field(kind: str) -> str:
    return next(field for letter, _, field in EXECUTORS if letter == kind)


def _compute_s(timeline: TargetTimeline) -> float:
    return timeline.refreshes * timeline.cost_s


def _demand_s(timeline: TargetTimeline) -> float:
    """Return the compute seconds with unlimited capacity."""
    return _compute_s(timeline) + (timeline.cost_s if timeline.is_waiting else 0.0)


def _targets(
    timelines: Iterable[TargetTimeline], skipped: Iterable[SkippedTarget], snapshot: Snapshot
) -> list[PlannedTarget]:
    targets = [_target(timeline, snapshot) for timeline in timelines] + [_skipped(one, snapshot) for one in skipped]
    never = datetime.max.replace(tzinfo=UTC)
    return sorted(targets, key=lambda target: (target.first or never, -target.priority, target.ref))


def _target(timeline: TargetTimeline, snapshot: Snapshot) -> PlannedTarget:
    return PlannedTarget(
        task_id=timeline.candidate.task_id,
        ref=timeline.candidate.ref,
        priority=timeline.profile.spec.priority,
        first=None if timeline.first_s is None else _datetime(timeline.first_s),
        refreshes=timeline.refreshes,
        compute_s=_compute_s(timeline),
        reason=timeline.reason,
        late=timeline.late,
        problem=problem_of(timeline, snapshot),
    )


def _skipped(one: SkippedTarget, snapshot: Snapshot) -> PlannedTarget:
    profile = snapshot.tasks.get(one.candidate.task_id)
    return PlannedTarget(
        task_id=one.candidate.task_id,
        ref=one.candidate.ref,
        priority=profile.spec.priority if profile else 0,
        first=None,
        refreshes=0,
        compute_s=0.0,
        reason=one.reason,
        late=0,
        problem=None,
    )


def _tasks(timelines: Iterable[TargetTimeline], snapshot: Snapshot) -> list[PlannedTask]:
    tasks = []
    for task_id, group in _grouped(timelines, lambda timeline: timeline.candidate.task_id).items():
        spec = group[0].profile.spec
        tasks.append(
            PlannedTask(
                task_id=task_id,
                priority=spec.priority,
                limit=spec.limit or None,
                targets=len(group),
                refreshed=sum(timeline.refreshes > 0 for timeline in group),
                refreshes=sum(timeline.refreshes for timeline in group),
                compute_s=sum(map(_compute_s, group)),
                not_kept_warm=sum(problem_of(timeline, snapshot) is not None for timeline in group),
            )
        )
    return sorted(tasks, key=lambda task: (-task.priority, task.task_id))


def _limits(timelines: Iterable[TargetTimeline], snapshot: Snapshot, span_s: float) -> list[PlannedLimit]:
    limits = []
    for name, group in _grouped(timelines, lambda timeline: timeline.profile.spec.limit).items():
        limit: Limit | None = snapshot.limits.get(name, ONE_AT_A_TIME) if name else None
        concurrency = limit.concurrency if limit else None
        limits.append(
            PlannedLimit(
                name=name or None,
                refreshes=sum(timeline.refreshes for timeline in group),
                compute_s=sum(map(_compute_s, group)),
                concurrency=concurrency,
                rate_per_s=limit.rate_per_s if limit else None,
                available_s=concurrency * span_s if concurrency else None,
            )
        )
    return sorted(limits, key=lambda limit: (-limit.compute_s, limit.name or ""))


def _executors(timelines: Iterable[TargetTimeline], snapshot: Snapshot, span_s: float) -> list[PlannedExecutor]:
    demand_s = dict.fromkeys(NO_EXECUTOR, 0.0)
    for timeline in timelines:
        demand_s[timeline.profile.spec.kind] += _demand_s(timeline)
    return [
        PlannedExecutor(
            kind=kind,
            capacity=getattr(snapshot.capacity, field),
            compute_s=demand_s[letter],
            available_s=getattr(snapshot.capacity, field) * span_s,
        )
        for letter, kind, field in EXECUTORS
    ]


def _grouped(
    timelines: Iterable[TargetTimeline], group_of: Callable[[TargetTimeline], Group]
) -> dict[Group, list[TargetTimeline]]:
    groups: dict[Group, list[TargetTimeline]] = {}
    for timeline in timelines:
        groups.setdefault(group_of(timeline), []).append(timeline)
    return groups


def _datetime(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
