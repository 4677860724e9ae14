"""Plays the coming minutes through: what comes due, what is decided, what the workers have room for.

Nobody is assumed to read anything meanwhile, so each further refresh of a target is less likely to be worth it. The
policy says what is decided, and when, as it does in production; priorities say who is computed first. What is simpler
here: within a priority, what is ready longest goes first, and limits are used by workers alone.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from warmer import policy
from warmer.planning import reasons
from warmer.planning.capacity import Needs, PlannedCapacity
from warmer.planning.snapshot import Candidate, Snapshot
from warmer.planning.target_timeline import TargetTimeline, obstacle_to

MOST_REFRESHES = 1_000_000
"""More would take minutes to play through; the plan ends there."""

LONGEST_WAIT_S = 30.0
PATIENCE_WITH_WAITS = 0.9
"""The queue wait to expect follows a longer one at once, and a shorter one slowly."""

SHORTEST_STEP_S = 0.001


@dataclass(frozen=True)
class LeftAlone:
    """A target that is not computed.

    Args:
        candidate: The target.
        why: Why not.
    """

    candidate: Candidate
    why: str


@dataclass(frozen=True)
class Rehearsal:
    """What becomes of all targets.

    Args:
        courses: Of those that may be computed.
        left_alone: The others.
        until_s: Until when it was played through.
    """

    courses: list[TargetTimeline]
    left_alone: list[LeftAlone]
    until_s: float


def rehearse(outlook: Snapshot, until_s: float) -> Rehearsal:
    """Play the coming minutes through.

    Args:
        outlook: Where things stand; its mind and its histories are used up.
        until_s: Until when, in seconds since the epoch.
    """
    play, left_alone = _Play(outlook, until_s), []
    for candidate in outlook.candidates:
        obstacle = obstacle_to(candidate, outlook)
        if obstacle:
            left_alone.append(LeftAlone(candidate, obstacle))
        else:
            play.enter(TargetTimeline(candidate, outlook.tasks[candidate.task_id], outlook.switch))
    return Rehearsal(play.courses, left_alone, play.run())


class _Play:
    def __init__(self, outlook: Snapshot, until_s: float) -> None:
        self.courses: list[TargetTimeline] = []
        self._switch = outlook.switch
        self._mind = outlook.mind
        self._tick_s = outlook.tick_s
        self._until_s = until_s
        self._now_s = outlook.now_s
        self._room = PlannedCapacity(outlook.places, outlook.limits, outlook.now_s)
        self._waits_s = {task_id: known.queue_wait_s for task_id, known in outlook.tasks.items()}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._ready: dict[Needs, list[tuple[int, float, int, TargetTimeline]]] = {}
        self._numbers = count()
        self._refreshes = 0

    def enter(self, course: TargetTimeline) -> None:
        """Let a target begin where it stands."""
        spot, at_s = course.candidate.spot, course.candidate.at_s
        self.courses.append(course)
        if spot == "claimed":
            course.wanted(self._now_s, reasons.CLAIMED)
            self._begin([course])
        elif spot == "asked":
            self._want(course, reasons.ASKED, at_s)
        elif spot == "review" and not course.is_kept_warm:
            self._at(at_s, lambda: self._review(course))
        else:
            why = reasons.READY if spot == "ready" else course.why_due(at_s)
            self._at(at_s, lambda: self._want(course, why, at_s))

    def run(self) -> float:
        """Play to the end; returns when that was."""
        self._begin_calls()
        while self._events and self._events[0][0] <= self._until_s and self._refreshes < MOST_REFRESHES:
            self._now_s = self._events[0][0]
            while self._events and self._events[0][0] <= self._now_s:
                heapq.heappop(self._events)[2]()
            self._begin_calls()
        until_s = self._until_s if self._refreshes < MOST_REFRESHES else self._now_s
        for ready in self._ready.values():
            for _, _, _, course in ready:
                course.left_waiting(until_s)
        return until_s

    # --- deciding ----------------------------------------------------------------------------------------------
    def _at(self, at_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (max(at_s, self._now_s), next(self._numbers), act))

    def _review(self, course: TargetTimeline) -> None:
        """Decide as the scheduler does."""
        price = self._mind.price_of(course.account)
        course.history.flags = 0  # what nobody reads while this is played through is nothing to learn from
        verdict = self._mind.reviewer.review(course.history, self._now_s, course.known.task.ttl, price)
        why = reasons.decided(verdict, price)
        if verdict.refresh:
            self._want(course, why, self._now_s)
            return
        course.why = course.why or why
        if verdict.next_review_s is not None:
            self._at(max(verdict.next_review_s, self._now_s + SHORTEST_STEP_S), lambda: self._review(course))

    def _plan_next(self, course: TargetTimeline, computed_s: float) -> None:
        known = course.known
        if course.cost_s >= known.task.ttl:  # its value is stale as soon as it is there
            self._again(course, self._now_s + course.cost_s)
            return
        slowest_s = max(known.compute_p95_s, course.cost_s)
        lead_s = policy.lead_s(slowest_s, self._waits_s[known.task.task_id], self._tick_s, known.task.ttl)
        at_s = policy.next_due_s(known.task, self._switch, lead_s, computed_s, course.history.fresh_until_s)
        if at_s is not None and self._switch.on:
            self._again(course, at_s)

    def _again(self, course: TargetTimeline, at_s: float) -> None:
        at_s = max(at_s, self._now_s + SHORTEST_STEP_S)
        if course.is_kept_warm:
            self._at(at_s, lambda: self._want(course, course.why_due(at_s), at_s))
        else:
            self._at(at_s, lambda: self._review(course))

    # --- computing ---------------------------------------------------------------------------------------------
    def _want(self, course: TargetTimeline, why: str, since_s: float) -> None:
        """Let a target wait for a worker."""
        if not course.wanted(self._now_s, why):
            self._plan_next(course, course.computed_s)
            return
        ready = self._ready.setdefault(course.needs, [])
        heapq.heappush(ready, (-course.known.lane.priority, since_s, next(self._numbers), course))

    def _begin_calls(self) -> None:
        """Begin what there is room for, highest priority first."""
        waiting = [needs for needs, ready in self._ready.items() if ready]
        while free := [needs for needs in waiting if self._ready[needs] and self._room.is_free(needs, self._now_s)]:
            best = min(free, key=lambda needs: self._ready[needs][0])
            self._begin(self._next_call(self._ready[best]))
        for needs in waiting:
            again_s = self._room.free_again_s(needs, self._now_s) if self._ready[needs] else None
            if again_s is not None:
                self._at(again_s, lambda: None)

    def _next_call(self, ready: list[tuple[int, float, int, TargetTimeline]]) -> list[TargetTimeline]:
        """Take the first target, and with it those of its task that follow and fit into one batch."""
        call = [heapq.heappop(ready)[-1]]
        known = call[0].known
        while len(call) < known.lane.batch_size and ready and ready[0][-1].known is known:
            call.append(heapq.heappop(ready)[-1])
        return call

    def _begin(self, call: list[TargetTimeline]) -> None:
        needs, began_s = call[0].needs, self._now_s
        self._room.take(needs, began_s)
        self._refreshes += len(call)
        for course in call:
            self._expect_wait(course.candidate.task_id, course.begun(began_s))
        self._at(began_s + sum(course.cost_s for course in call), lambda: self._end(call, needs, began_s))

    def _expect_wait(self, task_id: str, waited_s: float) -> None:
        known_s = PATIENCE_WITH_WAITS * self._waits_s[task_id]
        self._waits_s[task_id] = max(known_s, min(waited_s, LONGEST_WAIT_S))

    def _end(self, call: list[TargetTimeline], needs: Needs, began_s: float) -> None:
        self._room.give_back(needs)
        for course in call:
            course.ended(began_s, self._now_s)
            self._plan_next(course, began_s)
