"""What is learnt is bounded by what is registered."""

from warmer.engine.policy_state import PolicyState
from warmer.policy.budget import ExtraCompute, TargetHitRatio
from warmer.store import DueReviews
from warmer.tasks.switch import Switch


def agenda(now_ms: int) -> DueReviews:
    return DueReviews(now_ms, Switch(on=True), True, (), {}, {"own": {"reads": 1.0}, "": {"reads": 1.0}}, 2)


def test_the_threshold_of_a_task_that_is_gone_is_not_kept():
    policy_state = PolicyState({})
    policy_state.observe(agenda(1_000_000), {"": ExtraCompute(0.25), "own": TargetHitRatio(0.99)})
    assert "threshold:own" in policy_state.to_save(1_000_000)
    policy_state.observe(agenda(2_000_000), {"": ExtraCompute(0.25)})
    kept = policy_state.to_save(2_000_000)
    assert "threshold:own" not in kept
    assert b"own" not in kept["seen"]
    assert "threshold:" in kept
