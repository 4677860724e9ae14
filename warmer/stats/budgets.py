"""State of the budgets: what each was set to, what is spent, and the effect of other thresholds."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from warmer.engine.policy_state import PolicyState, budgets_of
from warmer.policy.budget import Budget, ComputeBudget, ExtraCompute, TargetHitRatio
from warmer.policy.model import chance_of
from warmer.policy.threshold import Threshold
from warmer.policy.what_if import CurvePoint
from warmer.results import BaselineComparison, BudgetState, BudgetWhatIf
from warmer.store import Store


def budget_states(store: Store) -> list[BudgetState]:
    """Return the state of each budget: the fleet's first, then those of tasks with their own, by their ids.

    A task stands there once its targets were read, or refreshed.

    Raises:
        redis.RedisError: Redis did not answer.
    """
    accounts, state = store.stats.accounts(), PolicyState(store.reviews.policy_state())
    budgets = budgets_of(store, store.settings, accounts)
    state.set_budgets(budgets)
    return [
        budget_state(account, state.threshold_of(account), accounts.get(account, {})) for account in sorted(budgets)
    ]


def budget_state(account: str, threshold: Threshold, sums: Mapping[str, float]) -> BudgetState:
    """Return the state of one budget.

    Args:
        account: A task's id; "" for the fleet's.
        threshold: Decides which refreshes are worth their cost.
        sums: What reads and refreshes have cost, by what.

    Example:
        >>> state = budget_state("", Threshold(ExtraCompute(0.25)), {})
        >>> state.budget, state.target, state.actual, state.what_if
        ('extra_compute', 0.25, None, [])
    """
    budget, target = name_and_target_of(threshold.budget)
    return BudgetState(
        task_id=account or None,
        budget=budget,
        target=target,
        actual=threshold.actual,
        threshold=chance_of(threshold.log_odds),
        is_cut_off=threshold.is_cut_off,
        baseline=BaselineComparison.of(
            reads=sums.get("reads", 0),
            misses=sums.get("awaited", 0),
            compute_ms=sums.get("miss_ms", 0.0) + sums.get("warm_ms", 0.0),
            baseline_misses=sums.get("baseline_misses", 0),
            baseline_ms=sums.get("baseline_ms", 0.0),
        ),
        what_if=what_if_of(threshold.curve()),
    )


def name_and_target_of(budget: Budget) -> tuple[str, float]:
    """Return a budget's name, as in the settings, and what it was set to.

    Example:
        >>> name_and_target_of(TargetHitRatio(0.99))
        ('target_hit_ratio', 0.99)
    """
    match budget:
        case ExtraCompute(share):
            return "extra_compute", share
        case TargetHitRatio(ratio):
            return "target_hit_ratio", ratio
        case ComputeBudget(seconds_per_minute):
            return "budget_s_per_minute", seconds_per_minute


def what_if_of(curve: Sequence[CurvePoint]) -> list[BudgetWhatIf]:
    """Return the points of a curve that differ: of thresholds with the same effect, the lowest.

    Args:
        curve: Points from the highest threshold to the lowest.

    Example:
        >>> same = [CurvePoint(2.0, 0.1, 0.05, 3.0), CurvePoint(1.0, 0.1, 0.05, 3.0)]
        >>> [round(point.threshold, 2) for point in what_if_of(same)]
        [0.73]
    """
    if not curve or curve[-1].refresh_s_per_minute == 0.0:
        return []
    lowest = [list(same)[-1] for _, same in groupby(curve, key=lambda point: point[1:])]
    return [
        BudgetWhatIf(
            threshold=chance_of(point.log_odds),
            extra_compute=point.extra_compute,
            miss_ratio=point.miss_ratio,
            refresh_s_per_minute=point.refresh_s_per_minute,
        )
        for point in lowest
    ]
