"""Review loop of the leading scheduler: decides for due targets whether they are refreshed.

The decisions are pure functions in `warmer.policy`; this file reads their input, and sends them to Redis. One script
applies the decisions and saves the policy state, so that the next leader continues from there.
"""

from warmer.engine.policy_state import PolicyState, budgets_of
from warmer.policy.budget import Budget
from warmer.settings import Settings
from warmer.store import DueReviews, Store

BATCH_SIZE = 500
"""Targets of one round; more would block Redis for too long."""


class ReviewLoop:
    """Reviews due targets while its token leads.

    Args:
        store: Holds targets, histories and accounts.
        settings: The fleet's budget.
        token: The token of the leading scheduler.
    """

    def __init__(self, store: Store, settings: Settings, token: str) -> None:
        self._store = store
        self._settings = settings
        self._token = token
        self._state: PolicyState | None = None

    def run(self) -> int:
        """Review all due targets.

        Returns:
            How many of them will be refreshed.

        Raises:
            redis.RedisError: Redis did not answer; targets without a decision are reviewed the next time.
        """
        refreshed = 0
        while True:
            due = self._store.reviews.due(self._token, BATCH_SIZE)
            decided = self._decide(due) if due.leads else -1
            if decided < 0:
                self._state = None  # another scheduler leads, and continues from the saved state
                return refreshed
            refreshed += decided
            if len(due.targets) < BATCH_SIZE or not _is_on(due):
                return refreshed

    def _decide(self, due: DueReviews) -> int:
        if self._state is None:
            self._state = PolicyState(due.policy_state)
        state = self._state
        state.observe(due, self._budgets(due))
        decisions = [state.decide(target, due.now_ms) for target in due.targets] if _is_on(due) else []
        try:
            return self._store.reviews.decide(self._token, decisions, state.to_save(due.now_ms))
        except BaseException:
            self._state = None  # it may have learnt from decisions that were not saved
            raise

    def _budgets(self, due: DueReviews) -> dict[str, Budget]:
        accounts = {*due.accounts, *(target.account for target in due.targets)}
        return budgets_of(self._store, self._settings, accounts)


def _is_on(due: DueReviews) -> bool:
    return due.switch.on and due.switch.pattern
