"""What becomes of one target while the coming minutes are played through."""

from functools import cached_property

from warmer import policy
from warmer.errors import InvalidTaskError
from warmer.planning import reasons
from warmer.planning.capacity import Needs
from warmer.planning.snapshot import Candidate, KnownTask, Snapshot
from warmer.policy.history import History
from warmer.tasks.switch import Switch


class TargetTimeline:
    """What becomes of one target.

    Args:
        candidate: The target.
        known: Its task.
        switch: What warming covers.

    Attributes:
        why: Why it is refreshed, or is not.
        first_s: When its first refresh begins; None if none does.
        refreshes: How many begin.
        late: How many of them end, or do not begin, after the value that they should replace has expired.
        late_s: By how much at most.
        is_waiting: Whether it waits for a worker at the end, without a fresh value.
    """

    def __init__(self, candidate: Candidate, known: KnownTask, switch: Switch) -> None:
        """Begin where it stands."""
        self.candidate = candidate
        self.known = known
        self.history = candidate.history or History()
        self.cost_s = self.history.cost_s or known.mean_cost_s or known.compute_p95_s
        self.needs = Needs(known.lane.kind, known.lane.limit, known.lane.is_critical)
        self.is_kept_warm = policy.is_kept_warm(known.task, switch)
        self.why = ""
        self.first_s: float | None = None
        self.refreshes = 0
        self.late = 0
        self.late_s = 0.0
        self.is_waiting = False
        self._came_s = 0.0
        self._fresh_will_do = candidate.fresh_will_do

    @cached_property
    def fresh_for_s(self) -> float:
        """For how long its values are fresh."""
        task = self.known.task
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
        """Whose account pays for it: its task's, or the fleet's."""
        task = self.known.task
        return task.task_id if task.has_own_budget else ""

    def wanted(self, now_s: float, why: str) -> bool:
        """Take note that it is to be computed; False if its fresh value will do.

        Args:
            now_s: The moment.
            why: Why.
        """
        self._came_s = now_s
        is_served = self._fresh_will_do and self.history.fresh_until_s > now_s
        self._fresh_will_do = False
        if not self.refreshes:
            self.why = reasons.STILL_FRESH if is_served else why
        return not is_served

    def begun(self, now_s: float) -> float:
        """Take note that its computation begins; returns how long it has waited, in seconds."""
        self.refreshes += 1
        self.first_s = now_s if self.first_s is None else self.first_s
        return now_s - self._came_s

    def ended(self, began_s: float, now_s: float) -> None:
        """Take note that its computation ends, and a new value is there."""
        self._judge(now_s)
        self.history.published(began_s + self.fresh_for_s, self.cost_s)

    def left_waiting(self, until_s: float) -> None:
        """Take note that it still waits at the end."""
        self.is_waiting = self.history.fresh_until_s <= until_s
        self._judge(until_s)

    def _judge(self, ended_s: float) -> None:
        """Count a refresh that came in time, and was not done in time."""
        fresh_until_s = self.history.fresh_until_s
        if self._came_s < fresh_until_s < ended_s:
            self.late += 1
            self.late_s = max(self.late_s, ended_s - fresh_until_s)

    def why_due(self, at_s: float) -> str:
        """Return why it is due.

        Args:
            at_s: When it is.
        """
        if self.candidate.failures and not self.refreshes:
            return reasons.retry(self.candidate.failures)
        if self.is_kept_warm:
            return reasons.critical(self._schedule_at(at_s))
        return reasons.DUE if self.history.fresh_until_s else reasons.FIRST

    def _schedule_at(self, at_s: float) -> str | None:
        """Return the schedule if it, and neither the ttl nor the interval, has set the moment."""
        task, computed_s = self.known.task, self.computed_s
        if task.cron is None or not computed_s:
            return None
        return task.cron if abs(policy.next_cron_s(task.cron, task.timezone, computed_s) - at_s) < 1.0 else None


def obstacle_to(candidate: Candidate, outlook: Snapshot) -> str:
    """Return why a target is left alone whatever its reads; "" if it is not.

    Args:
        candidate: The target.
        outlook: Where things stand.
    """
    known = outlook.tasks.get(candidate.task_id)
    if known is None:
        return reasons.UNKNOWN
    if not outlook.quarantined.isdisjoint((candidate.ref, candidate.task_id)):
        return reasons.QUARANTINED
    if candidate.spot in ("claimed", "asked"):
        return ""
    if not outlook.switch.on:
        return reasons.OFF
    if candidate.spot == "review" and not policy.is_kept_warm(known.task, outlook.switch):
        if not outlook.switch.pattern:
            return reasons.PATTERN_OFF
        if candidate.history is None:
            return reasons.FORGOTTEN
    return ""
