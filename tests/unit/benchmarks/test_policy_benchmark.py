"""The calculations of the policy benchmark."""

import pytest

import policy
from measuring.policy.frontiers import Case, Held, Removed, held_by, removed_by
from warmer.simulation.result import ComparisonRow, ReplayResult

NASA = Case("nasa", 900.0)


def replayed(compute, misses, seconds=None):
    """A replay beside a plain cache of 100 misses, 20 of them first reads, that took 100 seconds."""
    return ReplayResult(
        reads=1000,
        misses=misses,
        compulsory=20,
        refreshes=compute - misses,
        wasted=0,
        compute_s=seconds,
        baseline_misses=100,
        baseline_compute_s=None if seconds is None else 100,
        peak_concurrency=1,
    )


def row(policy, extra_compute, found, ttl_s=900.0):
    return ComparisonRow("nasa", ttl_s, policy, extra_compute, found)


def test_what_policies_remove_is_compared_at_exactly_the_same_compute():
    rows = [
        row("warmer", 0.2, replayed(120, 60)),
        row("warmer", 0.1, replayed(110, 80)),
        row("plain", None, replayed(100, 100)),
        row("rlfu", 0.2, replayed(110, 92)),
    ]
    ours, rival = removed_by(rows, [0.05, 0.15, 0.5])
    assert (ours.case, ours.policy, rival.policy) == (NASA, "warmer", "rlfu")
    assert list(ours.parts.values()) == pytest.approx([0.125, 0.375, 0.5])
    assert list(rival.parts.values()) == pytest.approx([0.05, 0.1, 0.1])


def test_spending_is_in_seconds_if_computations_have_costs():
    rows = [
        row("warmer", 0.25, replayed(130, 60, seconds=124.0)),
        row("warmer", 0.3, replayed(130, 60)),
        row("warmer", 0.25, replayed(127, 60), ttl_s=60.0),
        row("rlfu", 0.25, replayed(125, 60)),
    ]
    held = held_by(rows, [0.25])
    assert [each.case.ttl_s for each in held] == [900.0, 60.0]
    assert [each.spent for each in held] == pytest.approx([0.24, 0.27])


def removed(policy_name, *parts, case=NASA):
    return Removed(case, policy_name, dict(zip(policy.EXTRA_COMPUTES, parts, strict=True)))


@pytest.mark.parametrize(
    ("ours", "spent", "held"),
    [
        ((0.22, 0.39, 0.51, 0.66), 0.25, [True] * 7),
        ((0.211, 0.39, 0.51, 0.66), 0.279, [True] * 7),
        ((0.209, 0.39, 0.51, 0.66), 0.281, [False, True, True, True, True, False, True]),
        ((0.22, 0.39, 0.51, 0.55), 0.351, [False, True, True, True, False, False, False]),
    ],
)
def test_the_policy_is_judged_by_its_study_by_rivals_and_by_its_budgets(ours, spent, held):
    rivals = [removed(rival, 0.2, 0.3, 0.4, 0.6) for rival in policy.RIVALS]
    of_budget = [Held(NASA, budget, replayed(100 + 100 * budget, 60)) for budget in policy.BUDGETS if budget != 0.25]
    of_budget.append(Held(NASA, 0.25, replayed(100 + 100 * spent, 60)))
    promises = list(policy.judged(policy.Outcome({}, [], [], [removed("warmer", *ours), *rivals], of_budget)))
    at_a_quarter = [promise for promise in promises if promise.text.startswith("with a budget of 25 %")]
    assert [promise.is_held for promise in [*promises[:5], *at_a_quarter]] == held
