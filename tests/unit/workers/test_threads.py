"""The thread executor: which of the waiting computations a free thread takes."""

import threading
from types import SimpleNamespace

import pytest

from warmer_workers.executors.threads import ThreadExecutor


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
    asked, gate, completed, notes = threading.Event(), threading.Event(), threading.Semaphore(0), []
    threads = ThreadExecutor(1, asked.set, lambda computation, computed: completed.release())
    threads.submit([Call("first", 0, notes, gate)])
    while threads.waiting:
        asked.wait(0.01)
    yield SimpleNamespace(threads=threads, asked=asked, gate=gate, completed=completed, notes=notes)
    gate.set()
    threads.shutdown()


def run_all(one_thread, *given: list[tuple[str, int]]) -> list[str]:
    for calls in given:
        one_thread.threads.submit([Call(name, priority, one_thread.notes) for name, priority in calls])
    one_thread.gate.set()
    for _ in range(1 + sum(map(len, given))):
        assert one_thread.completed.acquire(timeout=10)
    return one_thread.notes[1:]


def test_a_higher_priority_than_all_that_waits_goes_first(one_thread):
    done = run_all(one_thread, [("a", 0), ("b", 0)], [("c", 9), ("d", 9), ("e", 0)], [("f", 10)])
    assert done == ["f", "c", "d", "a", "b", "e"]


def test_an_aged_target_keeps_its_place_before_equal_priorities(one_thread):
    done = run_all(one_thread, [("aged", -5), ("a", 7)], [("b", 7), ("c", 7)])
    assert done == ["aged", "a", "b", "c"]


def test_a_thread_without_work_asks_for_more_at_once(one_thread):
    one_thread.asked.clear()
    one_thread.gate.set()
    assert one_thread.completed.acquire(timeout=10)
    assert one_thread.asked.wait(10)
