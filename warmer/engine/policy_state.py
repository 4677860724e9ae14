"""Policy state: the model, the season and the thresholds, as they are learned and saved in Redis."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import orjson

from warmer.errors import PolicyStateError, described
from warmer.policy.budget import Budget, ComputeBudget, ExtraCompute, TargetHitRatio
from warmer.policy.history import EPOCH_S, History
from warmer.policy.model import Model
from warmer.policy.review import Reviewer
from warmer.policy.season import Season
from warmer.policy.spending import Spent
from warmer.policy.threshold import Threshold
from warmer.settings import Settings
from warmer.store import DueReview, DueReviews, ReviewDecision, Store

logger = logging.getLogger("warmer.reviews")

SAVE_INTERVAL_S = 10.0

Saved = TypeVar("Saved")

DEFAULT_EXTRA_COMPUTE = 0.25
REFRESH_NOW, LET_GO = 0, -1


def budget_of(given: Mapping[str, Any] | Settings) -> Budget | None:
    """Return the budget in these settings, or in a task's definition; None if none is set.

    Args:
        given: The settings or the definition.

    Example:
        >>> budget_of({"extra_compute": None, "target_hit_ratio": 0.99, "budget_s_per_minute": None})
        TargetHitRatio(ratio=0.99)
    """
    values = given.model_dump() if isinstance(given, Settings) else given
    if values.get("target_hit_ratio") is not None:
        return TargetHitRatio(values["target_hit_ratio"])
    if values.get("budget_s_per_minute") is not None:
        return ComputeBudget(values["budget_s_per_minute"])
    if values.get("extra_compute") is not None:
        return ExtraCompute(values["extra_compute"])
    return None


def budgets_of(store: Store, settings: Settings, accounts: Iterable[str | None]) -> dict[str, Budget]:
    """Return the budget of each account that has one; "" is the fleet's.

    Args:
        store: Holds the definitions of tasks.
        settings: The fleet's budget.
        accounts: Ids of tasks; "" and None are ignored.
    """
    budgets = {"": budget_of(settings) or ExtraCompute(DEFAULT_EXTRA_COMPUTE)}
    task_ids = sorted({account for account in accounts if account})
    for task_id, definition in zip(task_ids, store.tasks.definitions_of(task_ids), strict=True):
        budget = budget_of(definition or {})
        if budget is not None:
            budgets[task_id] = budget
    return budgets


class PolicyState:
    """The learned state of the policy, and the decisions that follow from it; it does not use Redis.

    Args:
        saved: The saved state, by field; a field that cannot be read is learned again from the start.
    """

    def __init__(self, saved: Mapping[str, bytes]) -> None:
        self.model = _read(saved, "model", Model.from_bytes) or Model()
        self.season = _read(saved, "season", Season.from_bytes) or Season()
        self.thresholds: dict[str, Threshold] = {}
        self.reviewer = Reviewer(self.model, self.season)
        self._saved = saved
        self._seen: dict[str, dict[str, float]] = _read(saved, "seen", _counters_in) or {}
        self._reads: int = _read(saved, "reads", int) or 0
        self._saved_at_ms = 0

    def observe(self, due: DueReviews, budgets: Mapping[str, Budget]) -> None:
        """Update the season by the new reads, and the thresholds by the new costs.

        Args:
            due: The counters of the fleet and of each account.
            budgets: The budget of each account that has one; "" is the fleet's.
        """
        now_s = due.now_ms / 1000
        self.season.observe(now_s, max(0, due.reads - self._reads))
        self._reads = due.reads
        self.set_budgets(budgets)
        self.thresholds = {account: self.thresholds[account] for account in budgets}  # tasks come and go
        self._seen = {account: self._seen[account] for account in budgets if account in self._seen}
        for account in budgets:
            totals = due.accounts.get(account, {})
            self.thresholds[account].observe(now_s, _spent_since(self._seen.get(account, {}), totals))
            self._seen[account] = totals

    def set_budgets(self, budgets: Mapping[str, Budget]) -> None:
        """Create a threshold for each account; one whose budget has changed keeps its state.

        Args:
            budgets: The budget of each account that has one; "" is the fleet's.
        """
        for account, budget in budgets.items():
            threshold = self.thresholds.get(account)
            if threshold is None or threshold.budget != budget:
                packed = threshold.to_bytes() if threshold else self._saved.get(f"threshold:{account}", b"")
                self.thresholds[account] = _read_threshold(budget, packed) or Threshold(budget)

    def threshold_of(self, account: str | None) -> Threshold:
        """Return the threshold of an account; the fleet's if it has no budget of its own."""
        return self.thresholds.get(account or "") or self.thresholds[""]

    def decide(self, target: DueReview, now_ms: int) -> ReviewDecision:
        """Decide on a target, and learn from the result of the last decision on it."""
        if not (target.ttl_s and target.history):  # its task or its history was removed
            return ReviewDecision(target.ref, target.planned_ms, LET_GO)
        history = History.unpack(target.history)
        decision = self.reviewer.review(history, now_ms / 1000, target.ttl_s, self.threshold_of(target.account))
        if decision.refresh:
            review_ms = REFRESH_NOW
        else:
            review_ms = (
                LET_GO if decision.next_review_s is None else max(now_ms + 1, round(1000 * decision.next_review_s))
            )
        decided_ms = max(0, round(1000 * (history.decided_s - EPOCH_S)))
        return ReviewDecision(target.ref, target.planned_ms, review_ms, decided_ms, history.flags, history.decision)

    def to_save(self, now_ms: int) -> dict[str, bytes]:
        """Return all fields to save, of one moment; nothing if they were saved less than 10 s ago."""
        if now_ms - self._saved_at_ms < 1000 * SAVE_INTERVAL_S:
            return {}
        self._saved_at_ms = now_ms
        return {
            "model": self.model.to_bytes(),
            "season": self.season.to_bytes(),
            "seen": orjson.dumps(self._seen),
            "reads": str(self._reads).encode(),
            **{f"threshold:{account}": threshold.to_bytes() for account, threshold in self.thresholds.items()},
        }


def _read(saved: Mapping[str, bytes], field: str, read: Callable[[bytes], Saved]) -> Saved | None:
    if not saved.get(field):
        return None
    try:
        return read(saved[field])
    except (PolicyStateError, ValueError) as error:  # written by another version
        logger.warning("the saved %r cannot be read, and is learned again: %s", field, described(error))
        return None


def _counters_in(packed: bytes) -> dict[str, dict[str, float]]:
    counters = orjson.loads(packed)
    if not (isinstance(counters, dict) and all(isinstance(account, dict) for account in counters.values())):
        raise PolicyStateError(f"expected the counters of each account, got {packed[:100]!r}; they start at 0")
    return counters


def _read_threshold(budget: Budget, packed: bytes) -> Threshold | None:
    return _read({"threshold": packed}, "threshold", lambda saved: Threshold.from_bytes(budget, saved))


def _spent_since(seen: Mapping[str, float], totals: Mapping[str, float]) -> Spent:
    """Return what an account has spent since the last totals; the whole totals if Redis was emptied since."""

    def since(what: str) -> float:
        before, now = seen.get(what, 0.0), totals.get(what, 0.0)
        return now - before if now >= before else now

    return Spent(
        reads=since("reads"),
        misses=since("misses"),
        miss_s=since("miss_ms") / 1000,
        refreshes=since("refreshes"),
        refresh_s=since("warm_ms") / 1000,
        baseline_misses=since("baseline_misses"),
        baseline_s=since("baseline_ms") / 1000,
    )
