"""How much each worker can do at once is known as long as it lives."""

from warmer.store import Capacity


def test_a_worker_says_with_each_beat_how_much_it_can_do(make_warmer):
    small = make_warmer(concurrency=2, async_concurrency=50, isolated_processes=1)
    large = make_warmer(concurrency=16)
    small.store.fleet.worker_beat("small")
    large.store.fleet.worker_beat("large")
    assert small.store.fleet.capacities() == {"small": Capacity(2, 50, 1), "large": Capacity(16, 1000, 2)}


def test_a_worker_that_stops_is_forgotten_with_its_places(warmer):
    warmer.store.fleet.worker_beat("w")
    warmer.store.fleet.worker_gone("w")
    assert warmer.store.fleet.capacities() == {}
    assert warmer.store.control.exists(warmer.store.keys.places) == 0


def test_a_worker_unheard_of_has_no_places_and_is_forgotten_by_the_next_count(warmer):
    store = warmer.store
    store.fleet.worker_beat("alive")
    store.fleet.worker_beat("dead")
    store.control.zadd(store.keys.workers, {"dead": 1})
    assert list(store.fleet.capacities()) == ["alive"]
    assert store.control.hexists(store.keys.places, "dead"), "looking changes nothing"
    assert store.fleet.live_workers() == ["alive"]
    assert not store.control.hexists(store.keys.places, "dead")


def test_a_worker_of_a_version_that_does_not_say_has_none(warmer):
    store = warmer.store
    store.fleet.worker_beat("old")
    store.control.delete(store.keys.places)
    assert store.fleet.capacities() == {"old": Capacity()}
