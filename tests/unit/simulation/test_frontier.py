"""Comparisons of policies: the same on any number of processes, and frontiers between the replayed settings."""

import pytest

from warmer.simulation.comparison import Comparison, compare
from warmer.simulation.frontier import Frontier, frontier_of
from warmer.simulation.policies import POLICIES
from warmer.simulation.result import ReplayResult
from warmer.simulation.trace.trace import Trace

CSV = "".join(f"{second},{second % 7 % 3}\n" for second in range(0, 9000, 5))


@pytest.fixture
def reads(tmp_path):
    file = tmp_path / "reads.csv"
    file.write_text(CSV)
    return file


def test_several_processes_give_the_results_of_one():
    times_s = [float(second) for second in range(0, 9000, 5)]
    trace = Trace("reads", times_s, [row % 5 % 3 for row in range(len(times_s))], [1] * len(times_s))
    comparison = Comparison([trace], [60.0], [name for name in POLICIES if name != "warmer"], [0.1, 0.5], 0.2)
    assert list(compare(comparison, processes=2)) == list(compare(comparison, processes=1))


def point(compute, misses):
    return ReplayResult(
        reads=1000,
        misses=misses,
        compulsory=0,
        refreshes=compute - misses,
        wasted=0,
        compute_s=None,
        baseline_misses=100,
        baseline_compute_s=None,
        peak_concurrency=1,
    )


def test_between_two_settings_a_policy_stands_on_the_line_between_them():
    frontier = Frontier([point(100, 100), point(120, 60), point(160, 40)])
    found = [frontier.at(extra) for extra in (0.0, 0.1, 0.2, 0.3)]
    assert [result.compute_ratio for result in found] == pytest.approx([1.0, 1.1, 1.2, 1.3])
    assert [result.removed for result in found] == pytest.approx([0.0, 0.2, 0.4, 0.45])


def test_a_policy_that_cannot_spend_as_much_stands_at_its_most_expensive_setting():
    frontier = Frontier([point(100, 100), point(120, 60)])
    assert frontier.at(0.5) == point(120, 60)
    assert frontier.reaches(0.2)
    assert not frontier.reaches(0.5)


def test_a_setting_that_computes_more_and_misses_no_less_is_no_point_of_a_frontier():
    free, dear, useless = point(100, 70), point(120, 60), point(130, 60)
    assert Frontier.through([point(100, 100), useless, dear, free]).points == [free, dear]


def test_only_the_settings_next_to_a_requested_amount_are_points_of_a_frontier():
    tried = []

    def replay(setting):
        tried.append(setting)
        return point(100 + setting, 100 - setting)

    frontier = frontier_of(replay, range(1, 65), point(100, 100), [0.305])
    assert [result.misses for result in frontier.points] == [100, 70, 69]
    assert len(tried) == len(set(tried)) <= 8
    assert frontier.at(0.305).removed == pytest.approx(0.305)
