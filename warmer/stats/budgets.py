"""How the knobs are held: what each was set to, where it stands, and what other prices would do."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from warmer.engine.reviews import PolicyState, budgets_of
from warmer.policy.budget import Budget, ComputeBudget, ExtraCompute, TargetHitRatio
from warmer.policy.model import chance_of
from warmer.policy.threshold import Threshold
from warmer.policy.what_if import CurvePoint
from warmer.results import BudgetState, BudgetWhatIf, Counterfactual
from warmer.store import Store


def knob_standings(store: Store) -> list[BudgetState]:
    """Return how the knobs are held: the fleet's first, then those of tasks with one of their own, by their ids.

    A task stands there once its targets were read, or refreshed.

    Raises:
        redis.RedisError: Redis did not answer.
    """
    accounts, mind = store.stats.accounts(), PolicyState(store.reviews.policy_state())
    knobs = budgets_of(store, store.settings, accounts)
    mind.know(knobs)
    return [standing_of(account, mind.price_of(account), accounts.get(account, {})) for account in sorted(knobs)]


def standing_of(account: str, price: Threshold, sums: Mapping[str, float]) -> BudgetState:
    """Return how one knob is held.

    Args:
        account: A task's id; "" for the fleet's.
        price: What a refresh has to be worth.
        sums: What reads and refreshes have cost, by what.

    Example:
        >>> standing = standing_of("", Threshold(ExtraCompute(0.25)), {})
        >>> standing.knob, standing.target, standing.holds_at, standing.what_if
        ('extra_compute', 0.25, None, [])
    """
    knob, target = name_and_target_of(price.budget)
    return BudgetState(
        task_id=account or None,
        knob=knob,
        target=target,
        holds_at=price.actual,
        price=chance_of(price.log_odds),
        fuse_blown=price.is_cut_off,
        counterfactual=Counterfactual.of(
            reads=sums.get("reads", 0),
            misses=sums.get("awaited", 0),
            compute_ms=sums.get("miss_ms", 0.0) + sums.get("warm_ms", 0.0),
            plain_misses=sums.get("shadow_misses", 0),
            plain_ms=sums.get("shadow_ms", 0.0),
        ),
        what_if=what_if_of(price.curve()),
    )


def name_and_target_of(knob: Budget) -> tuple[str, float]:
    """Return a knob as the settings name it, and what it was set to.

    Example:
        >>> name_and_target_of(TargetHitRatio(0.99))
        ('target_hit_ratio', 0.99)
    """
    match knob:
        case ExtraCompute(share):
            return "extra_compute", share
        case TargetHitRatio(ratio):
            return "target_hit_ratio", ratio
        case ComputeBudget(seconds_per_minute):
            return "budget_s_per_minute", seconds_per_minute


def what_if_of(curve: Sequence[CurvePoint]) -> list[BudgetWhatIf]:
    """Return the points of a curve that differ: of prices that would do the same, the lowest.

    Args:
        curve: Points from the highest price to the lowest.

    Example:
        >>> same = [CurvePoint(2.0, 0.1, 0.05, 3.0), CurvePoint(1.0, 0.1, 0.05, 3.0)]
        >>> [round(point.price, 2) for point in what_if_of(same)]
        [0.73]
    """
    if not curve or curve[-1].refresh_s_per_minute == 0.0:
        return []
    lowest = [list(same)[-1] for _, same in groupby(curve, key=lambda point: point[1:])]
    return [
        BudgetWhatIf(
            price=chance_of(point.log_odds),
            extra_compute=point.extra_compute,
            miss_ratio=point.miss_ratio,
            refresh_seconds_per_minute=point.refresh_s_per_minute,
        )
        for point in lowest
    ]
