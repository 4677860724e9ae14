"""Adds up what a rehearsal has shown: by target, task, backend and place."""

from collections.abc import Callable, Hashable, Iterable
from datetime import UTC, datetime
from typing import Literal, TypeVar

from warmer.planning.capacity import UNDECLARED
from warmer.planning.planned import Plan, PlannedBackend, PlannedPlaces, PlannedTarget, PlannedTask
from warmer.planning.rehearsal import LeftAlone, Rehearsal
from warmer.planning.snapshot import Snapshot
from warmer.planning.target_timeline import TargetTimeline
from warmer.tasks.limit import Limit

KINDS: tuple[tuple[str, Literal["thread", "loop", "process"], str], ...] = (
    ("t", "thread", "threads"),
    ("l", "loop", "loop"),
    ("p", "process", "processes"),
)
NO_PLACE = {
    "t": "no worker has a thread",
    "l": "no worker runs async functions",
    "p": "no worker has processes for isolated tasks",
}

Group = TypeVar("Group", bound=Hashable)


def plan_of(outlook: Snapshot, rehearsal: Rehearsal, task_id: str | None = None) -> Plan:
    """Return the plan.

    Args:
        outlook: Where things stood.
        rehearsal: What becomes of the targets.
        task_id: Of the one task that the plan is to show; all tasks when not given. Workers' places are those that the
            others leave it, and are shown with what all of them ask for.
    """
    span_s = rehearsal.until_s - outlook.now_s
    courses = [one for one in rehearsal.courses if task_id in (None, one.candidate.task_id)]
    left_alone = [one for one in rehearsal.left_alone if task_id in (None, one.candidate.task_id)]
    return Plan(
        now=_moment(outlook.now_s),
        minutes=span_s / 60,
        is_on=outlook.switch.on,
        scheduler_alive=outlook.has_scheduler,
        workers=outlook.workers,
        targets_found=outlook.found,
        targets_looked_at=len(outlook.candidates),
        refreshes=sum(course.refreshes for course in courses),
        compute_s=sum(map(_compute_s, courses)),
        tasks=_tasks(courses, outlook),
        backends=_backends(courses, outlook, span_s),
        places=_places(rehearsal.courses, outlook, span_s),
        targets=_targets(courses, left_alone, outlook),
    )


def problem_of(course: TargetTimeline, outlook: Snapshot) -> str | None:
    """Return why a target cannot be kept warm with the present workers; None if it can, or need not.

    Args:
        course: What becomes of it.
        outlook: Where things stood.
    """
    known = course.known
    if not (course.refreshes or course.is_waiting):
        return None
    slowest_s = max(known.compute_p95_s, course.cost_s)
    if slowest_s >= known.task.ttl:
        return f"its computation takes {slowest_s:.1f} s, and its ttl is {known.task.ttl:g} s"
    if getattr(outlook.places, _field(known.lane.kind)) == 0:
        return NO_PLACE[known.lane.kind]
    if course.late:
        return f"late {course.late} times, by up to {course.late_s:.1f} s" if course.late > 1 else _late_once(course)
    return "still waits for a worker at the end" if course.is_waiting else None


def _late_once(course: TargetTimeline) -> str:
    return f"late by {course.late_s:.1f} s"


def _field(kind: str) -> str:
    return next(field for letter, _, field in KINDS if letter == kind)


def _compute_s(course: TargetTimeline) -> float:
    return course.refreshes * course.cost_s


def _wanted_s(course: TargetTimeline) -> float:
    """Return what would have been computed, had there been room for all of it."""
    return _compute_s(course) + (course.cost_s if course.is_waiting else 0.0)


def _targets(
    courses: Iterable[TargetTimeline], left_alone: Iterable[LeftAlone], outlook: Snapshot
) -> list[PlannedTarget]:
    targets = [_target(course, outlook) for course in courses] + [_left_alone(one, outlook) for one in left_alone]
    never = datetime.max.replace(tzinfo=UTC)
    return sorted(targets, key=lambda target: (target.first or never, -target.priority, target.ref))


def _target(course: TargetTimeline, outlook: Snapshot) -> PlannedTarget:
    return PlannedTarget(
        task_id=course.candidate.task_id,
        ref=course.candidate.ref,
        priority=course.known.lane.priority,
        first=None if course.first_s is None else _moment(course.first_s),
        refreshes=course.refreshes,
        compute_s=_compute_s(course),
        why=course.why,
        late=course.late,
        problem=problem_of(course, outlook),
    )


def _left_alone(one: LeftAlone, outlook: Snapshot) -> PlannedTarget:
    known = outlook.tasks.get(one.candidate.task_id)
    return PlannedTarget(
        task_id=one.candidate.task_id,
        ref=one.candidate.ref,
        priority=known.lane.priority if known else 0,
        first=None,
        refreshes=0,
        compute_s=0.0,
        why=one.why,
        late=0,
        problem=None,
    )


def _tasks(courses: Iterable[TargetTimeline], outlook: Snapshot) -> list[PlannedTask]:
    tasks = []
    for task_id, group in _grouped(courses, lambda course: course.candidate.task_id).items():
        known = group[0].known
        tasks.append(
            PlannedTask(
                task_id=task_id,
                priority=known.lane.priority,
                limit=known.lane.limit or None,
                targets=len(group),
                refreshed=sum(course.refreshes > 0 for course in group),
                refreshes=sum(course.refreshes for course in group),
                compute_s=sum(map(_compute_s, group)),
                not_kept_warm=sum(problem_of(course, outlook) is not None for course in group),
            )
        )
    return sorted(tasks, key=lambda task: (-task.priority, task.task_id))


def _backends(courses: Iterable[TargetTimeline], outlook: Snapshot, span_s: float) -> list[PlannedBackend]:
    backends = []
    for name, group in _grouped(courses, lambda course: course.known.lane.limit).items():
        limit: Limit | None = outlook.limits.get(name, UNDECLARED) if name else None
        concurrency = limit.concurrency if limit else None
        backends.append(
            PlannedBackend(
                name=name or None,
                refreshes=sum(course.refreshes for course in group),
                compute_s=sum(map(_compute_s, group)),
                concurrency=concurrency,
                rate_per_s=limit.rate_per_s if limit else None,
                available_s=concurrency * span_s if concurrency else None,
            )
        )
    return sorted(backends, key=lambda backend: (-backend.compute_s, backend.name or ""))


def _places(courses: Iterable[TargetTimeline], outlook: Snapshot, span_s: float) -> list[PlannedPlaces]:
    wanted_s = dict.fromkeys(NO_PLACE, 0.0)
    for course in courses:
        wanted_s[course.known.lane.kind] += _wanted_s(course)
    return [
        PlannedPlaces(
            kind=kind,
            places=getattr(outlook.places, field),
            compute_s=wanted_s[letter],
            available_s=getattr(outlook.places, field) * span_s,
        )
        for letter, kind, field in KINDS
    ]


def _grouped(
    courses: Iterable[TargetTimeline], group_of: Callable[[TargetTimeline], Group]
) -> dict[Group, list[TargetTimeline]]:
    groups: dict[Group, list[TargetTimeline]] = {}
    for course in courses:
        groups.setdefault(group_of(course), []).append(course)
    return groups


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
