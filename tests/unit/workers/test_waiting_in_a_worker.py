"""What waits in a worker for a thread: how much of it, and in which order."""

import threading
from types import SimpleNamespace

import pytest

from warmer_workers.executors.threads import ThreadExecutor
from warmer_workers.prefetch import Prefetch


class Call:
    """A computation that notes its name, and may wait before that."""

    def __init__(self, name: str, priority: int, notes: list[str], gate: threading.Event | None = None) -> None:
        """Wait for a thread."""
        self.name, self.priority = name, priority
        self._notes, self._gate = notes, gate

    def run(self) -> list[object]:
        """Note the name."""
        if self._gate is not None:
            assert self._gate.wait(10)
        self._notes.append(self.name)
        return []


@pytest.fixture
def one_thread():
    looked, gate, told, notes = threading.Event(), threading.Event(), threading.Semaphore(0), []
    threads = ThreadExecutor(1, looked.set, lambda computation, computed: told.release())
    threads.do([Call("first", 0, notes, gate)])
    while threads.waiting:
        looked.wait(0.01)
    yield SimpleNamespace(threads=threads, looked=looked, gate=gate, told=told, notes=notes)
    gate.set()
    threads.dismiss()


def run_all(one_thread, *given: list[tuple[str, int]]) -> list[str]:
    for calls in given:
        one_thread.threads.do([Call(name, priority, one_thread.notes) for name, priority in calls])
    one_thread.gate.set()
    for _ in range(1 + sum(map(len, given))):
        assert one_thread.told.acquire(timeout=10)
    return one_thread.notes[1:]


def test_what_is_more_urgent_than_all_that_waits_goes_first(one_thread):
    done = run_all(one_thread, [("a", 0), ("b", 0)], [("c", 9), ("d", 9), ("e", 0)], [("f", 10)])
    assert done == ["f", "c", "d", "a", "b", "e"]


def test_what_has_aged_does_not_give_way_to_more_of_what_waits_with_it(one_thread):
    done = run_all(one_thread, [("aged", -5), ("a", 7)], [("b", 7), ("c", 7)])
    assert done == ["aged", "a", "b", "c"]


def test_a_thread_that_finds_nothing_says_so_at_once(one_thread):
    one_thread.looked.clear()
    one_thread.gate.set()
    assert one_thread.told.acquire(timeout=10)
    assert one_thread.looked.wait(10)


def test_nothing_waits_behind_long_computations():
    ahead = Prefetch(threads=8)
    ahead.learn([0.2] * 8)
    assert (ahead.wanted(8), ahead.wanted(7), ahead.low_water) == (0, 1, 0)


def test_when_no_thread_came_free_short_computations_are_forgotten():
    ahead = Prefetch(threads=8)
    ahead.learn([0.001] * 8)
    assert ahead.wanted(8) == 240
    ahead.forget()
    assert (ahead.wanted(8), ahead.wanted(5), ahead.low_water) == (0, 3, 0)
    ahead.learn([0.01] * 8)
    assert ahead.wanted(8) == 24
