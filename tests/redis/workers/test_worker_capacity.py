"""How much each worker can do at once is known as long as it lives."""

from tests.support.runtimes import store_of
from warmer.store import Capacity


def test_a_worker_says_with_each_beat_how_much_it_can_do(make_warmer):
    small = make_warmer(concurrency=2, async_concurrency=50, isolated_processes=1)
    large = make_warmer(concurrency=16)
    store_of(small).fleet.worker_beat("small")
    store_of(large).fleet.worker_beat("large")
    assert store_of(small).fleet.capacities() == {"small": Capacity(2, 50, 1), "large": Capacity(16, 1000, 2)}


def test_a_worker_that_stops_is_forgotten_with_its_places(warmer):
    store_of(warmer).fleet.worker_beat("w")
    store_of(warmer).fleet.worker_gone("w")
    assert store_of(warmer).fleet.capacities() == {}
    assert store_of(warmer).control.exists(store_of(warmer).keys.worker_capacities) == 0


def test_a_worker_unheard_of_has_no_places_and_is_forgotten_by_the_next_count(warmer):
    store = store_of(warmer)
    store.fleet.worker_beat("alive")
    store.fleet.worker_beat("dead")
    store.control.zadd(store.keys.workers, {"dead": 1})
    assert list(store.fleet.capacities()) == ["alive"]
    assert store.control.hexists(store.keys.worker_capacities, "dead"), "looking changes nothing"
    assert store.fleet.live_workers() == ["alive"]
    assert not store.control.hexists(store.keys.worker_capacities, "dead")


def test_a_worker_of_a_version_that_does_not_say_has_none(warmer):
    store = store_of(warmer)
    store.fleet.worker_beat("old")
    store.control.delete(store.keys.worker_capacities)
    assert store.fleet.capacities() == {"old": Capacity()}
