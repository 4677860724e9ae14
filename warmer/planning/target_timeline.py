"""Timeline of one target in a rehearsal: its value, its refreshes, and how late they are."""

from functools import cached_property

from warmer import policy
from warmer.errors import InvalidTaskError
from warmer.planning import reasons
from warmer.planning.capacity import Needs
from warmer.planning.snapshot import Candidate, Snapshot, TaskProfile
from warmer.policy.history import History
from warmer.tasks.switch import Switch


class TargetTimeline:
    """The simulated refreshes of one target.

    Args:
        candidate: The target in its present state.
        profile: Its task.
        switch: What warming covers.

    Attributes:
        reason: Why it is refreshed, or is not.
        first_s: When its first refresh begins; None if none does.
        refreshes: How many begin.
        late: How many of them end, or still wait, after the value that they should replace has expired.
        late_s: By how much at most.
        is_waiting: Whether it waits for a worker at the end, without a fresh value.
    """

    def __init__(self, candidate: Candidate, profile: TaskProfile, switch: Switch) -> None:
        self.candidate = candidate
        self.profile = profile
        self.history = candidate.history or History()
        self.cost_s = self.history.cost_s or profile.mean_cost_s or profile.compute_p95_s
        self.needs = Needs(profile.spec.kind, profile.spec.limit, profile.spec.is_critical)
        self.is_kept_warm = policy.is_kept_warm(profile.task, switch)
        self.reason = ""
        self.first_s: float | None = None
        self.refreshes = 0
        self.late = 0
        self.late_s = 0.0
        self.is_waiting = False
        self._requested_s = 0.0
        self._fresh_ok = candidate.fresh_ok

    @cached_property
    def fresh_for_s(self) -> float:
        """How long its values are fresh."""
        task = self.profile.task
        try:
            cache_key = task.target_of_ref(self.candidate.ref).cache_key
        except InvalidTaskError:  # it cannot be computed either
            return task.ttl
        return policy.jittered_ttl_s(task.ttl, task.jitter, cache_key)

    @property
    def computed_s(self) -> float:
        """When its present value was computed; 0 if there is none."""
        fresh_until_s = self.history.fresh_until_s
        return fresh_until_s - self.fresh_for_s if fresh_until_s else 0.0

    @property
    def account(self) -> str:
        """The account that pays: its task's id, or "" for the fleet."""
        task = self.profile.task
        return task.task_id if task.has_own_budget else ""

    def request(self, now_s: float, reason: str) -> bool:
        """Record a request for a computation, and return whether one is needed: not if a fresh value satisfies it."""
        self._requested_s = now_s
        is_served = self._fresh_ok and self.history.fresh_until_s > now_s
        self._fresh_ok = False
        if not self.refreshes:
            self.reason = reasons.STILL_FRESH if is_served else reason
        return not is_served

    def begin(self, now_s: float) -> float:
        """Begin its computation, and return how long it has waited, in seconds."""
        self.refreshes += 1
        self.first_s = now_s if self.first_s is None else self.first_s
        return now_s - self._requested_s

    def end(self, began_s: float, now_s: float) -> None:
        """End its computation, and publish the new value."""
        self._count_late(now_s)
        self.history.published(began_s + self.fresh_for_s, self.cost_s)

    def leave_waiting(self, until_s: float) -> None:
        """Record that it still waits at the end."""
        self.is_waiting = self.history.fresh_until_s <= until_s
        self._count_late(until_s)

    def reason_due(self, at_s: float) -> str:
        """Return the reason of a refresh that is due at this time."""
        if self.candidate.failures and not self.refreshes:
            return reasons.retry(self.candidate.failures)
        if self.is_kept_warm:
            return reasons.critical(self._cron_at(at_s))
        return reasons.DUE if self.history.fresh_until_s else reasons.FIRST

    def _count_late(self, ended_s: float) -> None:
        """Count a refresh that was requested before the present value expired, and ended after."""
        fresh_until_s = self.history.fresh_until_s
        if self._requested_s < fresh_until_s < ended_s:
            self.late += 1
            self.late_s = max(self.late_s, ended_s - fresh_until_s)

    def _cron_at(self, at_s: float) -> str | None:
        """Return the cron line if it, and not the ttl or the interval, has set this time."""
        task, computed_s = self.profile.task, self.computed_s
        if task.cron is None or not computed_s:
            return None
        return task.cron if abs(policy.next_cron_s(task.cron, task.timezone, computed_s) - at_s) < 1.0 else None


def obstacle_to(candidate: Candidate, snapshot: Snapshot) -> str:
    """Return the reason why a target is not computed regardless of reads; "" if there is none."""
    profile = snapshot.tasks.get(candidate.task_id)
    if profile is None:
        return reasons.UNKNOWN
    if not snapshot.quarantined.isdisjoint((candidate.ref, candidate.task_id)):
        return reasons.QUARANTINED
    if candidate.state in ("claimed", "on_demand"):
        return ""
    if not snapshot.switch.on:
        return reasons.OFF
    if candidate.state == "review" and not policy.is_kept_warm(profile.task, snapshot.switch):
        if not snapshot.switch.pattern:
            return reasons.PATTERN_OFF
        if candidate.history is None:
            return reasons.NO_HISTORY
    return ""
