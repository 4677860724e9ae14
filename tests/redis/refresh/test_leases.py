"""The lease: only its holder writes."""

from tests.support.runtimes import store_of
from warmer.codec.entry import Header, Origin, pack
from warmer.store import Result


def entry(now_ms: int, ttl_ms: int = 60_000) -> bytes:
    return pack(Header(now_ms, now_ms + ttl_ms, now_ms + ttl_ms, now_ms + ttl_ms, 0, 10, Origin.WARM, 1, b"ref"), b"1")


def test_one_holder_at_a_time(warmer):
    assert store_of(warmer).entries.take_lease("k", "a").taken
    assert not store_of(warmer).entries.take_lease("k", "b").taken
    assert store_of(warmer).entries.release_lease("k", "b") is False
    assert store_of(warmer).entries.release_lease("k", "a") is True
    assert store_of(warmer).entries.take_lease("k", "b").taken


def test_the_holder_publishes_and_gives_the_lease_up(warmer):
    lease = store_of(warmer).entries.take_lease("k", "a")
    assert store_of(warmer).entries.publish_many([("k", "a", lease.now_ms + 60_000, entry(lease.now_ms))]) == [
        Result.PUBLISHED
    ]
    after = store_of(warmer).entries.take_lease("k", "b")
    assert after.taken
    assert after.present is not None
    assert after.present.ref == b"ref"


def test_who_lost_the_lease_writes_nothing(warmer):
    lease = store_of(warmer).entries.take_lease("k", "a")
    store_of(warmer).entries.release_lease("k", "a")  # as if it had lapsed
    store_of(warmer).entries.take_lease("k", "b")
    assert store_of(warmer).entries.publish_many([("k", "a", lease.now_ms + 60_000, entry(lease.now_ms))]) == [
        Result.LOST
    ]
    assert store_of(warmer).entries.read("k") is None
    assert store_of(warmer).entries.renew_leases([("k", "a")]) == [False]
    assert store_of(warmer).entries.renew_leases([("k", "b")]) == [True]


def test_an_invalidation_voids_the_lease(warmer):
    lease = store_of(warmer).entries.take_lease("k", "a")
    store_of(warmer).entries.invalidate("k")
    assert store_of(warmer).entries.publish_many([("k", "a", lease.now_ms + 60_000, entry(lease.now_ms))]) == [
        Result.LOST
    ]
    assert store_of(warmer).entries.read("k") is None


def test_an_entry_that_has_expired_meanwhile_is_not_written(warmer):
    lease = store_of(warmer).entries.take_lease("k", "a")
    assert store_of(warmer).entries.publish_many([("k", "a", lease.now_ms - 1, entry(lease.now_ms, -1))]) == [None]
    assert store_of(warmer).entries.read("k") is None
    assert store_of(warmer).entries.take_lease("k", "b").taken


def test_redis_drops_an_entry_when_it_expires(warmer):
    lease = store_of(warmer).entries.take_lease("k", "a")
    store_of(warmer).entries.publish_many([("k", "a", lease.now_ms + 5_000, entry(lease.now_ms, 5_000))])
    assert 0 < store_of(warmer).control.pttl(store_of(warmer).keys.entry("k")) <= 5_000
