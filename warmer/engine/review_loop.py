"""The review loop of the scheduler that leads: decides for due targets whether they are refreshed.

The decisions are pure functions in `warmer.policy`; this fetches what they need, and carries them out. One script both
carries decisions out and saves what was learnt, so the scheduler that leads next continues from there.
"""

from warmer.engine.policy_state import PolicyState, budgets_of
from warmer.policy.budget import Budget
from warmer.settings import Settings
from warmer.store import DueReviews, Store

BATCH_SIZE = 500
"""Targets in one round: more would keep Redis from answering others."""


class ReviewLoop:
    """Reviews what has come due, as long as its token leads.

    Args:
        store: Where targets, histories and accounts are.
        settings: The fleet's budget.
        token: Of the scheduler that leads.
    """

    def __init__(self, store: Store, settings: Settings, token: str) -> None:
        """Start without a state; the saved one is fetched with the first targets."""
        self._store = store
        self._settings = settings
        self._token = token
        self._state: PolicyState | None = None

    def run(self) -> int:
        """Review all targets that are due by now.

        Returns:
            How many of them are ready to be refreshed.

        Raises:
            redis.RedisError: Redis did not answer; what was not decided is reviewed the next time.
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
            self._state = None  # it may have learnt what was not saved
            raise

    def _budgets(self, due: DueReviews) -> dict[str, Budget]:
        accounts = {*due.accounts, *(target.account for target in due.targets)}
        return budgets_of(self._store, self._settings, accounts)


def _is_on(due: DueReviews) -> bool:
    return due.switch.on and due.switch.pattern
