"""Many values at once: one round trip, whatever was asked for twice, is missing or cannot be read."""

import asyncio

import pytest

import warmer as library
from warmer import InvalidTaskError


@pytest.fixture
def square(warmer):
    @warmer.warmed("square:{n}", ttl=60)
    def square(n: int) -> int:
        calls.append(n)
        return n * n

    calls: list[int] = []
    square.calls = calls
    return square


def test_what_is_cached_is_returned_by_key(warmer):
    for number in range(5):
        warmer.set(f"k{number}", number)
    assert warmer.get_many(["k3", "missing", "k1"]) == {"k3": 3, "k1": 1}
    assert warmer.get_many(f"k{number}" for number in range(2)) == {"k0": 0, "k1": 1}
    assert warmer.get_many({"k4": None}) == {"k4": 4}


def test_nothing_wanted_is_nothing_found(warmer, square):
    assert warmer.get_many([]) == {}
    assert square.many([]) == square.many(iter(())) == []


def test_nothing_wanted_is_nothing_found_by_the_twins(warmer):
    @warmer.warmed("cube:{n}", ttl=60)
    async def cube(n: int) -> int:
        return n**3

    async def read() -> list[object]:
        return [await warmer.aget_many([]), await cube.many([])]

    assert asyncio.run(read()) == [{}, []]


def test_only_what_is_missing_is_computed_and_the_order_is_kept(square):
    square.many([1, 2, 3])
    assert square.many([5, 3, (1,), {"n": 4}, 5]) == [25, 9, 1, 16, 25]
    assert square.calls == [1, 2, 3, 5, 4]


def test_one_that_fails_fails_the_call_and_what_was_computed_stays(warmer):
    @warmer.warmed("inverse:{n}", ttl=60)
    def inverse(n: int) -> float:
        return 1 / n

    with pytest.raises(ZeroDivisionError):
        inverse.many([4, 0, 2])
    assert inverse.get(4) == 0.25


@pytest.mark.parametrize("keys", ["one key", b"bytes", 7, None])
def test_one_key_is_no_list_of_keys(warmer, keys):
    with pytest.raises(InvalidTaskError, match="expected a list of cache keys, got"):
        warmer.get_many(keys)


@pytest.mark.parametrize("keys", [["fine", ""], ["fine", None], [b"bytes"], ["x" * 513]])
def test_unusable_keys_among_them_are_refused(warmer, keys):
    with pytest.raises(InvalidTaskError, match="a cache key must be"):
        warmer.get_many(keys)


def test_without_redis_all_of_them_are_missing_and_computed(make_warmer):
    warmer = make_warmer(redis_url="redis://127.0.0.1:1/0", redis_timeout_s=0.2)

    @warmer.warmed("square:{n}", ttl=60)
    def square(n: int) -> int:
        return n * n

    assert warmer.get_many(["a", "b"]) == {}
    assert square.many([1, 2, 1]) == [1, 4, 1]


def test_the_module_s_own_reads_from_the_default_warmer(server, namespace):
    library.configure(redis_url=server.url, namespace=namespace, embedded=True)
    try:
        library.set("k", {"a": [1]}, ttl=60)
        assert library.get_many(["k", "other"]) == {"k": {"a": [1]}}
    finally:
        library.configure(embedded=True)
