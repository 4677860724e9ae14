"""Many values at once take one round trip, count as reads once, and replace entries that cannot be read."""

import pytest

from tests.support.runtimes import runtime_of, store_of


@pytest.fixture
def square(warmer):
    @warmer.warmed("square:{n}", ttl=60)
    def square(n: int) -> int:
        calls.append(n)
        return n * n

    calls: list[int] = []
    square.calls = calls
    return square


@pytest.fixture
def mgets(warmer, monkeypatch):
    """The lists of keys that were asked for at once."""
    asked: list[list[str]] = []
    get_many = store_of(warmer).reader.get_many

    def recording(keys):
        asked.append(list(keys))
        return get_many(keys)

    monkeypatch.setattr(store_of(warmer).reader, "get_many", recording)
    return asked


def test_what_is_asked_for_twice_is_read_once(warmer, mgets):
    warmer.set("k", 1)
    assert warmer.get_many(["k", "other", "k", "other"]) == {"k": 1}
    assert [len(keys) for keys in mgets] == [2]
    assert sum(reads.hits for reads in runtime_of(warmer).read_counter._reads.values()) == 1


def test_all_is_asked_for_in_one_round_trip(warmer, square, mgets):
    assert square.many(range(100)) == [n * n for n in range(100)]
    assert square.many(range(100)) == [n * n for n in range(100)]
    assert [len(keys) for keys in mgets] == [100, 100]


def test_what_cannot_be_read_is_computed_anew(warmer, square):
    square.many([1, 2])
    store_of(warmer).control.set(store_of(warmer).keys.entry("square:1"), b"somebody else's bytes")
    assert warmer.get_many(["square:1", "square:2"]) == {"square:2": 4}
    assert square.many([1, 2]) == [1, 4]
    assert warmer.get_many(["square:1"]) == {"square:1": 1}
