"""Stale values are served at once while one refresh runs; when that fails, they go on being served."""

import asyncio
import threading
import time
from itertools import count

import pytest

from tests.support.interleaving import Beside, Gate
from tests.support.leases import hold_lease, lease_of, make_renewable, make_stale
from tests.support.runtimes import runtime_of, store_of
from warmer import WarmingTask
from warmer.cache.background_refresh import MAX_AT_ONCE
from warmer.cache.refresh_backoff import MAX_BACKOFF_S
from warmer.codec.entry import unpack
from warmer.refresh.publisher import fresh_for_ms as published_fresh_for_ms

kinds = pytest.mark.parametrize("kind", ["sync", "async", "sync function on a loop"])


class Source:
    """A compute function whose outcome can be changed and held, by call: the first returns "old"."""

    def __init__(self) -> None:
        self.gate = Gate("new")
        self.calls = 0
        self._lock = threading.Lock()

    def _count(self) -> bool:
        with self._lock:
            self.calls += 1
            return self.calls == 1

    def __call__(self):
        return "old" if self._count() else self.gate()

    async def call(self):
        return "old" if self._count() else await self.gate.call()


class Readers:
    """Reads one key through many processes' Warmers, sync or beside a loop that goes on running."""

    def __init__(self, kind: str, source: Source, warmers, **options) -> None:
        self._is_async = kind != "sync"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._reads = [self._reader(kind, source, warmer, options) for warmer in warmers]

    def _reader(self, kind, source, warmer, options):
        if kind == "async":

            async def compute():
                return await source.call()

            return warmer.warmed("k", task_id="t", **options)(compute)

        def compute():
            return source()

        function = warmer.warmed("k", task_id="t", **options)(compute)
        if kind == "sync":
            return function
        return lambda: warmer.aget_or_compute("k", compute, ttl=options.get("ttl", 3600))

    def read(self) -> list:
        if not self._is_async:
            return [read() for read in self._reads]
        return [asyncio.run_coroutine_threadsafe(read(), self._loop).result(20) for read in self._reads]

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture
def make_readers():
    made: list[Readers] = []

    def make(*args, **options) -> Readers:
        made.append(Readers(*args, **options))
        return made[-1]

    yield make
    for readers in made:
        readers.end()


@pytest.fixture
def quiet(make_warmer):
    return lambda **values: make_warmer(**{"flush_s": 60, "tick_s": 60, **values})


def computed_at_ms(warmer) -> int:
    header, _ = unpack(store_of(warmer).entries.read("k"))
    return header.computed_at_ms


# --- one refresh behind the readers ---------------------------------------------------------------------------------
@kinds
@pytest.mark.parametrize(
    ("options", "age"),
    [({"stale_ttl": 600}, make_stale), ({"refresh_ahead": 1800}, make_renewable)],
    ids=["stale", "fresh but soon not"],
)
def test_readers_are_served_at_once_while_one_refresh_runs_in_the_whole_fleet(
    quiet, make_readers, eventually, kind, options, age
):
    warmers, source = [quiet() for _ in range(4)], Source()
    readers = make_readers(kind, source, warmers, **options)
    assert readers.read() == ["old"] * 4
    assert source.calls == 1
    age(warmers[0], "k")
    for _ in range(10):
        assert readers.read() == ["old"] * 4
    assert source.gate.entered.wait(10)
    for _ in range(10):
        assert readers.read() == ["old"] * 4
    assert source.calls == 2
    source.gate.may_go_on.set()
    eventually(lambda: readers.read() == ["new"] * 4)
    assert source.calls == 2
    assert lease_of(warmers[0], "k") is None


def test_a_read_of_the_bare_key_of_a_template_s_target_has_it_renewed(warmer, eventually):
    values = count(1)

    def load(user_id: int) -> list[int]:
        return [user_id, next(values)]

    task = WarmingTask(task_id="profile", cache_key="user:{user_id}", compute_fn=load, stale_ttl=600)
    warmer.register(task)
    function = warmer.warmed("user:{user_id}", task_id="profile", stale_ttl=600)(load)
    assert function(7) == [7, 1]
    make_stale(warmer, "user:7")
    assert warmer.get("user:7") == [7, 1]
    eventually(lambda: warmer.get("user:7") == [7, 2])


def test_a_read_that_finds_a_fresh_value_renews_nothing(quiet, make_readers):
    warmer, source = quiet(), Source()
    readers = make_readers("sync", source, [warmer], stale_ttl=600, refresh_ahead=60)
    for _ in range(20):
        readers.read()
    assert source.calls == 1
    assert not any(thread.name == "warmer-background-refresh" for thread in threading.enumerate())


def test_what_expires_is_gone_without_a_stale_ttl(quiet, make_readers):
    warmer, source = quiet(), Source()
    make_readers("sync", source, [warmer], ttl=5).read()
    remaining_ms = store_of(warmer).entries._client.pttl(store_of(warmer).keys.entry("k"))
    assert 0 < remaining_ms <= 5_000


def test_a_stale_value_is_kept_for_ttl_and_stale_ttl_and_no_longer(quiet, make_readers):
    warmer, source = quiet(), Source()
    make_readers("sync", source, [warmer], ttl=100, stale_ttl=50, jitter=0).read()
    header, _ = unpack(store_of(warmer).entries.read("k"))
    assert header.fresh_until_ms == header.computed_at_ms + 100_000
    assert header.expires_at_ms == header.computed_at_ms + 150_000
    remaining_ms = store_of(warmer).entries._client.pttl(store_of(warmer).keys.entry("k"))
    assert 149_000 < remaining_ms <= 150_000


def test_while_another_process_renews_a_reader_does_not_ask_at_each_read(quiet, make_readers, monkeypatch, eventually):
    warmer, source = quiet(), Source()
    readers = make_readers("sync", source, [warmer], stale_ttl=600)
    readers.read()
    make_stale(warmer, "k")
    hold_lease(warmer, "k")
    asked = []
    entries = store_of(warmer).readers_entries
    take = entries.take_leases
    monkeypatch.setattr(entries, "take_leases", lambda *args, **kwargs: asked.append(1) or take(*args, **kwargs))
    readers.read()
    eventually(lambda: asked)
    eventually(lambda: not runtime_of(warmer).miss_handler._flights._flights)
    began_s = time.monotonic()
    for _ in range(50):
        assert readers.read() == ["old"]
    assert len(asked) <= 2 + (time.monotonic() - began_s) / 0.25
    assert source.calls == 1


# --- a refresh that fails -------------------------------------------------------------------------------------------
@kinds
def test_a_failing_refresh_leaves_the_old_value_backs_off_and_recovers(quiet, make_readers, eventually, kind):
    warmer, source = quiet(), Source()
    readers = make_readers(kind, source, [warmer], stale_ttl=600)
    readers.read()
    source.gate.value = OSError("database is down")
    source.gate.may_go_on.set()
    make_stale(warmer, "k")
    eventually(lambda: readers.read() == ["old"] and source.calls == 2)
    eventually(lambda: not runtime_of(warmer).miss_handler._flights._flights)
    began_s = time.monotonic()
    for _ in range(100):
        assert readers.read() == ["old"]
    elapsed_s = time.monotonic() - began_s
    assert source.calls <= 2 + elapsed_s / 0.5, "not at each read"
    source.gate.value = "new"
    eventually(lambda: readers.read() == ["new"])
    assert lease_of(warmer, "k") is None


def test_a_refresh_that_always_fails_never_blocks_readers(quiet, make_readers):
    warmer, source = quiet(), Source()
    readers = make_readers("sync", source, [warmer], stale_ttl=600)
    readers.read()
    make_stale(warmer, "k")
    began_s = time.monotonic()
    for _ in range(100):  # the refresh hangs
        assert readers.read() == ["old"]
    assert time.monotonic() - began_s < 5
    source.gate.value = OSError("down")
    source.gate.may_go_on.set()
    for _ in range(100):  # it has failed
        assert readers.read() == ["old"]


def test_a_value_that_cannot_be_published_is_not_computed_at_each_read(
    make_warmer, own_server, make_readers, eventually
):
    warmer, source = make_warmer(redis_url=own_server.url, flush_s=60, tick_s=60), Source()
    source.gate.may_go_on.set()
    readers = make_readers("sync", source, [warmer], stale_ttl=600)
    readers.read()
    make_stale(warmer, "k")
    store_of(warmer).control.config_set("maxmemory", 1)
    began_s = time.monotonic()
    for _ in range(200):
        assert readers.read() == ["old"]
    assert source.calls <= 3 + (time.monotonic() - began_s) / 0.25


def test_a_source_s_recovery_is_noticed_within_half_a_minute():
    from warmer.cache.refresh_backoff import RefreshBackoff

    now_s = [0.0]
    backoff = RefreshBackoff(lambda: now_s[0], random_unit=lambda: 1.0)
    for _ in range(50):
        backoff.failed("k")
    now_s[0] = MAX_BACKOFF_S
    assert not backoff.is_blocked("k")
    now_s[0] = MAX_BACKOFF_S - 0.001
    assert backoff.is_blocked("k")


def test_a_key_whose_value_has_gone_is_computed_even_while_it_rests(quiet, make_readers, eventually):
    warmer, source = quiet(), Source()
    readers = make_readers("sync", source, [warmer], stale_ttl=600)
    readers.read()
    source.gate.value = OSError("down")
    source.gate.may_go_on.set()
    make_stale(warmer, "k")
    readers.read()
    eventually(lambda: runtime_of(warmer).miss_handler.revalidation._backoff.is_blocked("k"))
    source.gate.value = "new"
    warmer.invalidate("k")
    assert readers.read() == ["new"]


def test_behind_readers_only_so_many_refreshes_run_at_once(quiet, eventually):
    warmer, gate = quiet(), Gate("new")
    function = warmer.warmed("k:{n}", task_id="t", stale_ttl=600)(lambda n: gate() if has_begun else "old")
    has_begun = []
    for n in range(20):
        assert function(n) == "old"
        make_stale(warmer, f"k:{n}")
    has_begun.append(True)
    for n in range(20):
        assert function(n) == "old"
    eventually(lambda: gate.at_once == 8)
    assert [function(n) for n in range(20)] == ["old"] * 20
    assert gate.at_once == 8
    gate.may_go_on.set()
    eventually(lambda: [function(n) for n in range(20)] == ["new"] * 20)


def test_what_goes_on_behind_a_reader_has_nothing_of_its_context(quiet, eventually):
    from contextvars import ContextVar

    request: ContextVar[str] = ContextVar("request", default="none")
    warmer, seen = quiet(), []

    async def compute():
        seen.append(request.get())
        return len(seen)

    function = warmer.warmed("k", task_id="t", stale_ttl=600)(compute)

    async def read():
        request.set("of a user")
        assert await function() == 1
        make_stale(warmer, "k")
        assert await function() == 1
        while len(seen) < 2:
            await asyncio.sleep(0.005)

    Beside.in_loop(read).result()
    assert seen == ["of a user", "none"]


# --- how long ---------------------------------------------------------------------------------------------------------
def fresh_for_ms(warmer, cache_key: str) -> int:
    header, _ = unpack(store_of(warmer).entries.read(cache_key))
    return header.fresh_until_ms - header.computed_at_ms


def test_freshness_is_spread_by_key_and_the_same_each_time(quiet):
    warmer = quiet()
    function = warmer.warmed("k:{n}", task_id="t", ttl=1000, jitter=0.2)(lambda n: n)
    options = runtime_of(warmer).cache_options.of(function.task)
    lengths = [published_fresh_for_ms(options, f"k:{n}", False) for n in range(1000)]
    assert all(800_000 < length <= 1_000_000 for length in lengths)
    tenths = [sum(low <= length < low + 20_000 for length in lengths) for low in range(800_000, 1_000_000, 20_000)]
    assert all(60 <= tenth <= 140 for tenth in tenths), "evenly"
    assert [published_fresh_for_ms(options, f"k:{n}", False) for n in range(1000)] == lengths
    for n in (1, 2, 3):
        function(n)
        assert fresh_for_ms(warmer, f"k:{n}") == lengths[n]
        function.refresh(n)
        assert fresh_for_ms(warmer, f"k:{n}") == lengths[n]


def test_a_none_is_fresh_for_its_own_time_and_distinct_from_a_miss(quiet):
    warmer = quiet()
    values = iter([None, "there"])
    function = warmer.warmed("k", task_id="t", ttl=1000, negative_ttl=10, jitter=0)(lambda: next(values))
    assert function() is None
    assert fresh_for_ms(warmer, "k") == 10_000
    assert function() is None, "it is a hit"
    assert function.get(default="default") is None
    assert function.refresh() == "there"
    assert fresh_for_ms(warmer, "k") == 1_000_000


@pytest.mark.parametrize("value", [None, "value"])
@pytest.mark.parametrize("jitter", [0, 0.5])
def test_however_short_its_freshness_a_new_value_is_not_renewed_at_once(quiet, value, jitter):
    warmer = quiet()
    function = warmer.warmed("k", task_id="t", ttl=100, refresh_ahead=99, negative_ttl=5, jitter=jitter)(lambda: value)
    function()
    header, _ = unpack(store_of(warmer).entries.read("k"))
    assert header.refresh_from_ms - header.computed_at_ms >= 0.099 * fresh_for_ms(warmer, "k")
    assert header.refresh_from_ms < header.fresh_until_ms


def test_without_jitter_a_value_is_renewed_exactly_that_long_ahead(quiet):
    warmer = quiet()
    warmer.warmed("k", task_id="t", ttl=100, refresh_ahead=20, jitter=0)(lambda: "value")()
    header, _ = unpack(store_of(warmer).entries.read("k"))
    assert header.fresh_until_ms - header.refresh_from_ms == 20_000


# --- a computation that takes longer than its value lasts -------------------------------------------------------------
def outlive(warmer, monkeypatch, by_ms: int) -> None:
    """Let leases be taken as if that had been some time ago: the computation seems to have taken that long."""
    take = store_of(warmer).readers_entries.take_leases

    def take_leases(*args, **kwargs):
        return [lease._replace(now_ms=lease.now_ms - by_ms) for lease in take(*args, **kwargs)]

    monkeypatch.setattr(store_of(warmer).readers_entries, "take_leases", take_leases)


def test_a_value_older_than_its_ttl_is_not_cached(quiet, monkeypatch):
    warmer = quiet()
    outlive(warmer, monkeypatch, 10_001)
    function = warmer.warmed("k", task_id="t", ttl=10, jitter=0)(lambda: "value")
    assert function() == "value"
    assert function.get(default="nothing") == "nothing"
    assert lease_of(warmer, "k") is None


def test_a_value_older_than_its_ttl_is_cached_as_stale_where_stale_values_are_served(quiet, monkeypatch, caplog):
    warmer = quiet()
    outlive(warmer, monkeypatch, 15_000)
    function = warmer.warmed("k", task_id="t", ttl=10, stale_ttl=10, jitter=0)(lambda: "value")
    assert function() == "value"
    header, _ = unpack(store_of(warmer).entries.read("k"))
    assert header.fresh_until_ms < runtime_of(warmer).clock.now_ms() < header.expires_at_ms
    remaining_ms = store_of(warmer).entries._client.pttl(store_of(warmer).keys.entry("k"))
    assert remaining_ms <= 5_000, "nobody gets it when it is older than ttl and stale_ttl"


def test_a_value_older_than_ttl_and_stale_ttl_is_not_cached(quiet, monkeypatch):
    warmer = quiet()
    outlive(warmer, monkeypatch, 20_001)
    function = warmer.warmed("k", task_id="t", ttl=10, stale_ttl=10, jitter=0)(lambda: "value")
    assert function() == "value"
    assert store_of(warmer).entries.read("k") is None


def test_loops_that_are_closed_while_they_renew_take_no_place_for_ever(quiet, eventually):
    warmer, gate = quiet(), Gate("renewed")
    held = set()

    async def load(n: int) -> str:
        return await gate.call() if n in held else "first"

    function = warmer.warmed("load:{n}", ttl=60, stale_ttl=60)(load)

    def closed_while_it_renews(n):
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda loop, context: None)
        loop.run_until_complete(function(n))
        make_stale(warmer, f"load:{n}")
        held.add(n)
        loop.run_until_complete(function(n))
        loop.close()

    for n in range(MAX_AT_ONCE):
        Beside(lambda n=n: closed_while_it_renews(n)).result()

    async def renewed():
        assert await function(100) == "first"
        make_stale(warmer, "load:100")
        await function(100)
        async with asyncio.timeout(10):
            while not await is_fresh("load:100"):
                await function(100)
                await asyncio.sleep(0.01)

    async def is_fresh(key):
        header, _ = unpack(await asyncio.to_thread(store_of(warmer).entries.read, key))
        return header.fresh_until_ms > runtime_of(warmer).clock.now_ms()

    Beside.in_loop(renewed).result()
    gate.may_go_on.set()
