"""Targets that were there when a process died: each has to show that it was not the one."""

import pytest

from tests.support.flow import drain
from tests.support.runtimes import store_of
from warmer import WarmingTask
from warmer_workers import computation


@pytest.mark.parametrize("function", ["product", "product_soon"])
def test_many_suspects_are_computed_together_in_processes_of_their_own(warmer, monkeypatch, function):
    monkeypatch.setattr(computation, "MAX_SUSPECTS", 10)
    task = WarmingTask(
        task_id="product", cache_key="product:{n}", compute_fn=f"tests.support.isolated_tasks:{function}", ttl=600
    )
    warmer.start()
    warmer.register(task)
    refs = [task.target(n=n).ref for n in range(35)]
    store_of(warmer).requests.submit(refs, force=True)
    store_of(warmer).control.hset(store_of(warmer).keys.crash_suspects, mapping=dict.fromkeys(refs, 1))
    assert drain(warmer) == 35
    assert [warmer.get(f"product:{n}")["id"] for n in range(35)] == list(range(35))
    assert store_of(warmer).control.hlen(store_of(warmer).keys.crash_suspects) == 0, "a success clears of all suspicion"


def test_a_suspect_that_has_failed_since_is_computed_alone():
    works = [_Work(1, 0), _Work(1, 0), _Work(1, 1), _Work(0, 0)]
    calls = computation.computations_of(works, lambda work: _kind_of(work), 900.0, 0.0)
    assert [[works.index(work) for work in call.works] for call in calls] == [[0, 1], [2], [3]]


class _Work:
    task = WarmingTask(task_id="t", cache_key="t:{n}", compute_fn="math:sqrt")

    def __init__(self, deaths: int, failures: int) -> None:
        self.claim = self
        self.deaths, self.failures = deaths, failures


def _kind_of(work: _Work) -> computation.ExecutorKind:
    return computation.ExecutorKind.PROCESS if work.deaths else computation.ExecutorKind.THREAD
