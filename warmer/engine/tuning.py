"""Schedule tuning: adjusts the schedules of the most read targets now, before each of them is due."""

import logging
import math

from warmer import policy
from warmer.engine.policy_state import PolicyState, budgets_of
from warmer.policy.history import LONG_TTLS, TO_REFRESH, History
from warmer.policy.model import chance_of
from warmer.results import Optimization, ScheduleAdjustment
from warmer.settings import Settings
from warmer.store import Store, TargetState
from warmer.tasks.target import task_id_of

logger = logging.getLogger("warmer.tuning")

MIN_LEAD_CHANGE = 0.1
"""A schedule stays if its lead changes by a smaller part than this."""


def optimize(store: Store, settings: Settings) -> Optimization:
    """Adjust the schedules of the targets that are read most.

    An expired target that is now worth a refresh is reviewed at once. A fresh one that is no longer worth it is not
    refreshed again. If computations or the wait for a worker take longer than before, the next refresh begins earlier.
    Critical targets do not change: they are kept warm whatever their reads.

    Args:
        store: Holds reads and schedules.
        settings: The number of targets, and the fleet's budget.

    Returns:
        The changes.

    Raises:
        redis.RedisError: Redis did not answer.
    """
    states = store.targets.states([hot.ref for hot in store.reads.hottest(settings.optimize_top_targets)[1]])
    if not (states.switch.on and states.switch.pattern):
        return Optimization(tasks_optimized=0, schedules_adjusted=[])
    policy_state = PolicyState(states.policy_state)
    policy_state.set_budgets(budgets_of(store, settings, [target.account for target in states.targets]))
    adjusted = []
    for target in states.targets:
        if not (target.history and target.ttl_s) or target.account is None or target.place not in ("review", ""):
            continue
        schedule = TargetSchedule(policy_state, settings, target, states.now_ms / 1000)
        adjustment = schedule.adjusted(store)
        if adjustment is not None:
            logger.info("%s: %s", adjustment.ref, adjustment.reason)
            adjusted.append(adjustment)
    return Optimization(tasks_optimized=len(adjusted), schedules_adjusted=adjusted)


class TargetSchedule:
    """The schedule of one target, as it is and as it should be.

    Args:
        policy_state: The model, the season and the thresholds.
        settings: The tick.
        target: The target's state.
        now_s: The present time, in seconds since the epoch.
    """

    def __init__(self, policy_state: PolicyState, settings: Settings, target: TargetState, now_s: float) -> None:
        self._target = target
        self._now_s = now_s
        self._history = History.unpack(target.history)
        self._threshold = policy_state.threshold_of(target.account)
        self._log_odds = policy_state.reviewer.predict(self._history, now_s, target.ttl_s)
        self._lead_s = policy.lead_s(target.compute_p95_s, target.queue_wait_s, settings.tick_s, target.ttl_s)

    def adjusted(self, store: Store) -> ScheduleAdjustment | None:
        """Change the schedule if needed; returns the change, or None."""
        is_fresh = self._history.fresh_until_s > self._now_s
        is_worth_it = self._log_odds >= self._threshold.log_odds
        if is_worth_it and not is_fresh:
            return self._review_now(store)
        if is_fresh and self._target.place == "review":
            return self._move(store) if is_worth_it else self._stop_refreshing(store)
        return None

    def _review_now(self, store: Store) -> ScheduleAdjustment | None:
        if not store.targets.reschedule(
            self._target.ref, round(1000 * self._now_s), forward_only=True, where="reviews"
        ):
            return None
        return self._adjustment(self._interval_minutes(self._lead_s), None, f"read again: {self._odds('reaches')}")

    def _stop_refreshing(self, store: Store) -> ScheduleAdjustment | None:
        if not self._history.flags & TO_REFRESH or not store.targets.reschedule(self._target.ref, None):
            return None
        return self._adjustment(None, self._interval_minutes(self._present_lead_s), self._odds("is below"))

    def _move(self, store: Store) -> ScheduleAdjustment | None:
        present_s = self._present_lead_s
        if present_s <= 0 or abs(self._lead_s - present_s) <= MIN_LEAD_CHANGE * max(self._lead_s, present_s):
            return None
        at_ms = round(1000 * (self._history.fresh_until_s - self._lead_s))
        if not store.targets.reschedule(self._target.ref, at_ms, where="reviews"):
            return None
        return self._adjustment(
            self._interval_minutes(self._lead_s),
            self._interval_minutes(present_s),
            f"its refresh has to begin {self._lead_s:.1f} s before its value expires, rather than {present_s:.1f} s",
        )

    @property
    def _present_lead_s(self) -> float:
        return self._history.fresh_until_s - self._target.at_ms / 1000

    def _interval_minutes(self, lead_s: float) -> float:
        return (self._target.ttl_s - lead_s) / 60

    def _odds(self, verb: str) -> str:
        chance, threshold = 100 * chance_of(self._log_odds), 100 * chance_of(self._threshold.log_odds)
        return f"the chance of a read within its ttl, {chance:.0f} %, {verb} the threshold of {threshold:.0f} %"

    def _adjustment(self, interval: float | None, previous: float | None, reason: str) -> ScheduleAdjustment:
        return ScheduleAdjustment(
            task_id=task_id_of(self._target.ref),
            ref=self._target.ref,
            reads_per_minute=60 * reads_per_s(self._history, self._now_s, self._target.ttl_s),
            interval_minutes=interval,
            previous_interval_minutes=previous,
            reason=reason,
        )


def reads_per_s(history: History, now_s: float, ttl_s: float) -> float:
    """Return a target's decayed read rate.

    Args:
        history: The target's history.
        now_s: The present time, in seconds since the epoch.
        ttl_s: The target's ttl, in seconds.

    Example:
        >>> history = History()
        >>> for second in range(2000):
        ...     _ = history.read(1_700_000_000.0 + second, reads=3, ttl_s=10.0)
        >>> round(reads_per_s(history, 1_700_002_000.0, ttl_s=10.0), 1)
        3.0
    """
    span_s = LONG_TTLS * ttl_s
    return history.reads_16 * math.exp(-max(0.0, now_s - history.last_s) / span_s) / span_s
