"""Reviews what has come due: learns from what was read since, and decides what is worth a refresh.

The decisions themselves are pure functions in `warmer.policy`; this fetches what they need, and carries them out.
Only the scheduler that leads does so, and one script both carries decisions out and keeps what was learnt: whoever
leads next goes on from there.
"""

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

AT_ONCE = 500
"""Targets in one round: more would keep Redis from answering others."""

KEEP_EVERY_S = 10.0
"""How often all that was learnt is kept; the state of thresholds is kept with each decision."""

Kept = TypeVar("Kept")

USUAL_EXTRA_COMPUTE = 0.25
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


class ReviewLoop:
    """Reviews what has come due, as long as its token leads.

    Args:
        store: Where targets, histories and accounts are.
        settings: The fleet's budget.
        token: Of the scheduler that leads.
    """

    def __init__(self, store: Store, settings: Settings, token: str) -> None:
        """Know nothing yet; what was learnt before is fetched with the first targets."""
        self._store = store
        self._settings = settings
        self._token = token
        self._mind: PolicyState | None = None

    def think(self) -> int:
        """Review all that is to be reviewed by now; returns how many targets are ready for it.

        Raises:
            redis.RedisError: Redis did not answer; what was not decided is reviewed the next time.
        """
        refreshed = 0
        while True:
            agenda = self._store.reviews.due(self._token, AT_ONCE)
            if not agenda.leads:
                self._mind = None  # the one who leads by now learns on
                return refreshed
            done = self._decide(agenda)
            if done < 0:
                self._mind = None
                return refreshed
            refreshed += done
            if len(agenda.targets) < AT_ONCE or not _is_on(agenda):
                return refreshed

    def _decide(self, agenda: DueReviews) -> int:
        if self._mind is None:
            self._mind = PolicyState(agenda.memory)
        mind = self._mind
        mind.observe(agenda, self._budgets(agenda))
        decided = [mind.decide(target, agenda.now_ms) for target in agenda.targets] if _is_on(agenda) else []
        try:
            return self._store.reviews.decide(self._token, decided, mind.memory(agenda.now_ms))
        except BaseException:
            self._mind = None  # it may have learnt what was not kept
            raise

    def _budgets(self, agenda: DueReviews) -> dict[str, Budget]:
        return budgets_of(
            self._store, self._settings, {*agenda.accounts, *(target.account for target in agenda.targets)}
        )


def budgets_of(store: Store, settings: Settings, accounts: Iterable[str | None]) -> dict[str, Budget]:
    """Return the budget of each account that has one; "" is the fleet's.

    Args:
        store: Where tasks' definitions are.
        settings: The fleet's budget.
        accounts: Ids of tasks; "" and None are passed over.
    """
    budgets = {"": budget_of(settings) or ExtraCompute(USUAL_EXTRA_COMPUTE)}
    task_ids = sorted({account for account in accounts if account})
    for task_id, definition in zip(task_ids, store.tasks.definitions_of(task_ids), strict=True):
        budget = budget_of(definition or {})
        if budget is not None:
            budgets[task_id] = budget
    return budgets


class PolicyState:
    """What was learnt so far, and what is decided by it; knows no Redis.

    Args:
        memory: What was kept, by field; what of it cannot be read is learnt anew.
    """

    def __init__(self, memory: Mapping[str, bytes]) -> None:
        """Remember."""
        self.model = _remembered(memory, "model", Model.from_bytes) or Model()
        self.season = _remembered(memory, "season", Season.from_bytes) or Season()
        self.thresholds: dict[str, Threshold] = {}
        self.reviewer = Reviewer(self.model, self.season)
        self._memory = memory
        self._seen: dict[str, dict[str, float]] = _remembered(memory, "seen", _counters_in) or {}
        self._reads: int = _remembered(memory, "reads", int) or 0
        self._kept_at_ms = 0

    def observe(self, agenda: DueReviews, budgets: Mapping[str, Budget]) -> None:
        """Take in what was read and spent since the last time: the season and the thresholds follow it.

        Args:
            agenda: With the counters of the fleet and of each account.
            budgets: Of each account that has one; "" is the fleet's.
        """
        now_s = agenda.now_ms / 1000
        self.season.observe(now_s, max(0, agenda.reads - self._reads))
        self._reads = agenda.reads
        self.know(budgets)
        self.thresholds = {account: self.thresholds[account] for account in budgets}  # tasks come and go
        self._seen = {account: self._seen[account] for account in budgets if account in self._seen}
        for account in budgets:
            totals = agenda.accounts.get(account, {})
            self.thresholds[account].observe(now_s, _spent_since(self._seen.get(account, {}), totals))
            self._seen[account] = totals

    def know(self, budgets: Mapping[str, Budget]) -> None:
        """Have a threshold for each account; one whose budget has changed keeps its state."""
        for account, budget in budgets.items():
            threshold = self.thresholds.get(account)
            if threshold is None or threshold.budget != budget:
                packed = threshold.to_bytes() if threshold else self._memory.get(f"price:{account}", b"")
                self.thresholds[account] = _kept_threshold(budget, packed) or Threshold(budget)

    def threshold_of(self, account: str | None) -> Threshold:
        """Return the threshold of an account; the fleet's if it has no budget of its own."""
        return self.thresholds.get(account or "") or self.thresholds[""]

    def decide(self, target: DueReview, now_ms: int) -> ReviewDecision:
        """Decide on a target, and learn from what became of the last decision on it."""
        if not (target.ttl_s and target.history):  # its task is gone, or it was forgotten among colder ones
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

    def memory(self, now_ms: int) -> dict[str, bytes]:
        """Return what is to be kept; each time the same moment of all of it, or nothing."""
        if now_ms - self._kept_at_ms < 1000 * KEEP_EVERY_S:
            return {}
        self._kept_at_ms = now_ms
        return {
            "model": self.model.to_bytes(),
            "season": self.season.to_bytes(),
            "seen": orjson.dumps(self._seen),
            "reads": str(self._reads).encode(),
            **{f"price:{account}": threshold.to_bytes() for account, threshold in self.thresholds.items()},
        }


def _is_on(agenda: DueReviews) -> bool:
    return agenda.switch.on and agenda.switch.pattern


def _remembered(memory: Mapping[str, bytes], field: str, read: Callable[[bytes], Kept]) -> Kept | None:
    if not memory.get(field):
        return None
    try:
        return read(memory[field])
    except (PolicyStateError, ValueError) as error:  # written by another version
        logger.warning("what was kept as %r cannot be read and is learnt anew: %s", field, described(error))
        return None


def _counters_in(packed: bytes) -> dict[str, dict[str, float]]:
    counters = orjson.loads(packed)
    if not (isinstance(counters, dict) and all(isinstance(account, dict) for account in counters.values())):
        raise PolicyStateError(f"expected the counters of each account, got {packed[:100]!r}; they are counted anew")
    return counters


def _kept_threshold(budget: Budget, packed: bytes) -> Threshold | None:
    return _remembered({"a threshold": packed}, "a threshold", lambda kept: Threshold.from_bytes(budget, kept))


def _spent_since(seen: Mapping[str, float], totals: Mapping[str, float]) -> Spent:
    """Return what an account has spent since it was last looked at; all of it if Redis was emptied meanwhile."""

    def since(what: str) -> float:
        before, now = seen.get(what, 0.0), totals.get(what, 0.0)
        return now - before if now >= before else now

    return Spent(
        reads=since("reads"),
        misses=since("misses"),
        miss_s=since("miss_ms") / 1000,
        refreshes=since("refreshes"),
        refresh_s=since("warm_ms") / 1000,
        baseline_misses=since("shadow_misses"),
        baseline_s=since("shadow_ms") / 1000,
    )
