"""A whole Warmer where its cache, or everything, lives elsewhere than on one server: on a Cluster, behind Sentinels."""

import asyncio
import time
from datetime import date

from redis import Redis


def does_everything(warmer) -> None:
    """Read, write, compute and warm, sync and async, over keys of every node."""
    keys = [f"k{number}" for number in range(40)]
    for key in keys:
        assert warmer.get_or_compute(key, lambda key=key: {"of": key}, ttl=60) == {"of": key}
    assert warmer.get_many(keys) == {key: {"of": key} for key in keys}
    assert asyncio.run(warmer.aget_many(keys)) == {key: {"of": key} for key in keys}
    warmer.set("k0", "set")
    warmer.invalidate("k1")
    assert [warmer.get("k0"), warmer.get("k1", "gone"), asyncio.run(warmer.aget("k2"))] == ["set", "gone", {"of": "k2"}]

    calls: list[int] = []

    @warmer.warmed("day:{n}", ttl=60, stale_ttl=60)
    def day(n: int) -> date:
        calls.append(n)
        return date(2026, 11, n)

    assert day.many(range(1, 21)) == [date(2026, 11, n) for n in range(1, 21)]
    assert day.many(range(1, 21)) == [date(2026, 11, n) for n in range(1, 21)]
    assert sorted(calls) == list(range(1, 21))
    handles = [day.warm(n, force=True) for n in range(1, 6)]
    warmer.start(embedded=True)
    assert [handle.wait(60).result for handle in handles] == ["published"] * 5
    assert day.refresh(7) == day.get(7) == date(2026, 11, 7)
    assert warmer.performance()["hit_ratio"] > 0.5


def test_the_cache_lives_on_a_cluster(make_warmer, server, cluster):
    warmer = make_warmer(cache_url=cluster.url)
    does_everything(warmer)
    with Redis.from_url(server.url) as client:
        keys = list(client.scan_iter(f"{warmer.settings.namespace}:*"))
    assert keys, "tasks and the queue are on the server"
    assert [key for key in keys if b":entry:" in key] == [], "no value is on the server of tasks and the queue"


def test_everything_lives_behind_sentinels(make_warmer, sentinel):
    does_everything(make_warmer(redis_url=sentinel.url))


def test_readers_outlive_a_failover(make_warmer, own_sentinel, eventually):
    warmer = make_warmer(redis_url=own_sentinel.url, tick_s=60, flush_s=60)
    assert warmer.get_or_compute("k", lambda: "before", ttl=60) == "before"
    own_sentinel.kill_master()
    slowest_s, ends_s = 0.0, time.monotonic() + 1.0
    while time.monotonic() < ends_s:
        began_s = time.monotonic()
        assert warmer.get_or_compute("other", lambda: "computed", ttl=60) == "computed"
        slowest_s = max(slowest_s, time.monotonic() - began_s)
    assert slowest_s < 2.0, "a read does not wait for a failover"
    eventually(lambda: warmer.get_or_compute("new", lambda: "cached", ttl=60) == warmer.get("new") == "cached", 30)


def test_everything_lives_behind_a_socket_of_this_machine(make_warmer, socket_path):
    does_everything(make_warmer(redis_url=f"unix://{socket_path}?db=1"))
