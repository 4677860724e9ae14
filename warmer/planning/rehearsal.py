"""Discrete-event simulation of the coming minutes: what comes due, what is decided, what the workers can run.

It assumes that nobody reads meanwhile, so each further refresh of a target is less likely to be worth it. Decisions and
their times come from the policy, as in production, and priorities say what is computed first. Simpler than production:
within a priority, the longest ready target goes first, and only workers use limits.
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
from warmer.store.constants import MAX_QUEUE_WAIT_MS, QUEUE_WAIT_DECAY

MAX_REFRESHES = 1_000_000
"""The plan ends here: more would take minutes to simulate."""

MIN_STEP_S = 0.001


@dataclass(frozen=True)
class SkippedTarget:
    """A target that is not computed, and the reason."""

    candidate: Candidate
    reason: str


@dataclass(frozen=True)
class Rehearsal:
    """The result of a simulation.

    Args:
        timelines: Of targets that may be computed.
        skipped: The others.
        until_s: The end of the simulated time, in seconds since the epoch.
    """

    timelines: list[TargetTimeline]
    skipped: list[SkippedTarget]
    until_s: float


def rehearse(snapshot: Snapshot, until_s: float) -> Rehearsal:
    """Simulate the coming minutes.

    Args:
        snapshot: The present state; its policy state and its histories change.
        until_s: The end, in seconds since the epoch.
    """
    simulation, skipped = _Simulation(snapshot, until_s), []
    for candidate in snapshot.candidates:
        obstacle = obstacle_to(candidate, snapshot)
        if obstacle:
            skipped.append(SkippedTarget(candidate, obstacle))
        else:
            simulation.add(TargetTimeline(candidate, snapshot.tasks[candidate.task_id], snapshot.switch))
    return Rehearsal(simulation.timelines, skipped, simulation.run())


class _Simulation:
    def __init__(self, snapshot: Snapshot, until_s: float) -> None:
        self.timelines: list[TargetTimeline] = []
        self._switch = snapshot.switch
        self._policy_state = snapshot.policy_state
        self._tick_s = snapshot.tick_s
        self._until_s = until_s
        self._now_s = snapshot.now_s
        self._capacity = PlannedCapacity(snapshot.capacity, snapshot.limits, snapshot.now_s)
        self._queue_waits_s = {task_id: profile.queue_wait_s for task_id, profile in snapshot.tasks.items()}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._ready: dict[Needs, list[tuple[int, float, int, TargetTimeline]]] = {}
        self._numbers = count()
        self._refreshes = 0

    def add(self, timeline: TargetTimeline) -> None:
        """Add a target in its present state."""
        state, at_s = timeline.candidate.state, timeline.candidate.at_s
        self.timelines.append(timeline)
        if state == "claimed":
            timeline.request(self._now_s, reasons.CLAIMED)
            self._begin([timeline])
        elif state == "on_demand":
            self._enqueue(timeline, reasons.REQUESTED, at_s)
        elif state == "review" and not timeline.is_kept_warm:
            self._at(at_s, lambda: self._review(timeline))
        else:
            reason = reasons.READY if state == "scheduled" else timeline.reason_due(at_s)
            self._at(at_s, lambda: self._enqueue(timeline, reason, at_s))

    def run(self) -> float:
        """Run to the end, and return when that was."""
        self._begin_calls()
        while self._events and self._events[0][0] <= self._until_s and self._refreshes < MAX_REFRESHES:
            self._now_s = self._events[0][0]
            while self._events and self._events[0][0] <= self._now_s:
                heapq.heappop(self._events)[2]()
            self._begin_calls()
        until_s = self._until_s if self._refreshes < MAX_REFRESHES else self._now_s
        for ready in self._ready.values():
            for _, _, _, timeline in ready:
                timeline.leave_waiting(until_s)
        return until_s

    # --- decisions ---------------------------------------------------------------------------------------------
    def _at(self, at_s: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (max(at_s, self._now_s), next(self._numbers), action))

    def _review(self, timeline: TargetTimeline) -> None:
        """Decide as the scheduler does."""
        threshold = self._policy_state.threshold_of(timeline.account)
        timeline.history.flags = 0  # the simulated time without reads must not teach the model
        decision = self._policy_state.reviewer.review(
            timeline.history, self._now_s, timeline.profile.task.ttl, threshold
        )
        reason = reasons.decided(decision, threshold)
        if decision.refresh:
            self._enqueue(timeline, reason, self._now_s)
            return
        timeline.reason = timeline.reason or reason
        if decision.next_review_s is not None:
            self._at(max(decision.next_review_s, self._now_s + MIN_STEP_S), lambda: self._review(timeline))

    def _plan_next(self, timeline: TargetTimeline, computed_s: float) -> None:
        profile = timeline.profile
        if timeline.cost_s >= profile.task.ttl:  # its value is stale as soon as it is published
            self._again(timeline, self._now_s + timeline.cost_s)
            return
        slowest_s = max(profile.compute_p95_s, timeline.cost_s)
        queue_wait_s = self._queue_waits_s[profile.task.task_id]
        lead_s = policy.lead_s(slowest_s, queue_wait_s, self._tick_s, profile.task.ttl)
        at_s = policy.next_due_s(profile.task, self._switch, lead_s, computed_s, timeline.history.fresh_until_s)
        if at_s is not None and self._switch.on:
            self._again(timeline, at_s)

    def _again(self, timeline: TargetTimeline, at_s: float) -> None:
        at_s = max(at_s, self._now_s + MIN_STEP_S)
        if timeline.is_kept_warm:
            self._at(at_s, lambda: self._enqueue(timeline, timeline.reason_due(at_s), at_s))
        else:
            self._at(at_s, lambda: self._review(timeline))

    # --- computations ------------------------------------------------------------------------------------------
    def _enqueue(self, timeline: TargetTimeline, reason: str, since_s: float) -> None:
        """Let a target wait for a worker."""
        if not timeline.request(self._now_s, reason):
            self._plan_next(timeline, timeline.computed_s)
            return
        ready = self._ready.setdefault(timeline.needs, [])
        heapq.heappush(ready, (-timeline.profile.spec.priority, since_s, next(self._numbers), timeline))

    def _begin_calls(self) -> None:
        """Begin computations up to the capacity, highest priority first."""
        waiting = [needs for needs, ready in self._ready.items() if ready]
        while free := [needs for needs in waiting if self._ready[needs] and self._capacity.is_free(needs, self._now_s)]:
            best = min(free, key=lambda needs: self._ready[needs][0])
            self._begin(self._next_call(self._ready[best]))
        for needs in waiting:
            again_s = self._capacity.free_again_s(needs, self._now_s) if self._ready[needs] else None
            if again_s is not None:
                self._at(again_s, lambda: None)

    def _next_call(self, ready: list[tuple[int, float, int, TargetTimeline]]) -> list[TargetTimeline]:
        """Take the first target, and the following ones of its task that fit into one batch."""
        call = [heapq.heappop(ready)[-1]]
        profile = call[0].profile
        while len(call) < profile.spec.batch_size and ready and ready[0][-1].profile is profile:
            call.append(heapq.heappop(ready)[-1])
        return call

    def _begin(self, call: list[TargetTimeline]) -> None:
        needs, began_s = call[0].needs, self._now_s
        self._capacity.take(needs, began_s)
        self._refreshes += len(call)
        for timeline in call:
            self._note_queue_wait(timeline.candidate.task_id, timeline.begin(began_s))
        self._at(began_s + sum(timeline.cost_s for timeline in call), lambda: self._end(call, needs, began_s))

    def _note_queue_wait(self, task_id: str, waited_s: float) -> None:
        decayed_s = QUEUE_WAIT_DECAY * self._queue_waits_s[task_id]
        self._queue_waits_s[task_id] = max(decayed_s, min(waited_s, MAX_QUEUE_WAIT_MS / 1000))

    def _end(self, call: list[TargetTimeline], needs: Needs, began_s: float) -> None:
        self._capacity.give_back(needs)
        for timeline in call:
            timeline.end(began_s, self._now_s)
            self._plan_next(timeline, began_s)
