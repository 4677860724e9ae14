"""Exceptions that a task wants cached are raised again without computing; never in the place of a good value."""

import asyncio
import time

import pytest

from tests.support.flow import work_off
from tests.support.interleaving import Beside, Gate
from tests.support.leases import lease_of, make_stale
from tests.support.runtimes import runtime_of, store_of
from warmer import ComputationFailedError, WarmingTask
from warmer.codec import ERROR
from warmer.codec.entry import unpack
from warmer.store import Result


class NotFoundError(Exception):
    pass


class StubbornError(Exception):
    """Its constructor does not take its arguments."""

    def __init__(self, *, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code


class Shop:
    """A source of products; what it has can be changed."""

    def __init__(self) -> None:
        self.calls = 0
        self.outcome: object = NotFoundError("no product", 7)

    def load(self, product_id: int = 7) -> object:
        self.calls += 1
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


@pytest.fixture
def shop() -> Shop:
    return Shop()


def product(warmer, shop, **options):
    return warmer.warmed("product", task_id="product", **{"cache_errors": {NotFoundError: 30}, **options})(
        lambda: shop.load()
    )


def header_of(warmer):
    found = unpack(store_of(warmer).entries.read("product"))
    return None if found is None else found[0]


def test_a_cached_error_is_raised_again_without_computing(make_warmer, shop):
    here, there = make_warmer(), make_warmer()
    load, load_there = product(here, shop), product(there, shop)
    for call in (load, load, load_there):
        with pytest.raises(NotFoundError) as raised:
            call()
        assert raised.value.args == ("no product", 7)
    assert shop.calls == 1
    assert lease_of(here, "product") is None


def test_the_same_beside_an_event_loop(warmer, shop):
    async def load():
        return shop.load()

    function = warmer.warmed("product", task_id="product", cache_errors={NotFoundError: 30})(load)
    for _ in range(3):
        with pytest.raises(NotFoundError):
            asyncio.run(function())
    assert shop.calls == 1


def test_a_look_at_a_cached_error_finds_the_default(warmer, shop):
    load = product(warmer, shop)
    with pytest.raises(NotFoundError):
        load()
    assert load.get(default="default") == "default"
    assert warmer.get("product", "default") == "default"
    assert warmer.get_many(["product"]) == {}


def test_an_error_that_is_not_named_is_not_cached(warmer, shop):
    load, shop.outcome = product(warmer, shop), OSError("database is down")
    for _ in range(2):
        with pytest.raises(OSError, match="database is down"):
            load()
    assert shop.calls == 2
    assert header_of(warmer) is None


def test_an_error_lasts_as_long_as_its_nearest_class_says(warmer, shop):
    load = product(warmer, shop, cache_errors={LookupError: 20, Exception: 5}, ttl=1000, stale_ttl=1000)
    shop.outcome = KeyError("x")
    with pytest.raises(LookupError):
        load()
    header = header_of(warmer)
    assert header.codec == ERROR
    assert 20_000 <= header.fresh_until_ms - header.computed_at_ms < 25_000
    assert header.expires_at_ms == header.fresh_until_ms == header.refresh_from_ms, "no grace for errors"
    assert 0 < store_of(warmer).entries._client.pttl(store_of(warmer).keys.entry("product")) <= 20_000


def test_a_value_takes_the_place_of_a_cached_error(warmer, shop):
    load = product(warmer, shop)
    with pytest.raises(NotFoundError):
        load()
    shop.outcome = "back in stock"
    assert load.refresh() == "back in stock"
    assert load() == "back in stock"


def test_a_cached_error_never_takes_the_place_of_a_value(warmer, shop, eventually):
    shop.outcome = "in stock"
    load = product(warmer, shop, stale_ttl=600)
    assert load() == "in stock"
    shop.outcome = NotFoundError("gone for a moment")
    with pytest.raises(NotFoundError):
        load.refresh()
    assert load() == "in stock"
    make_stale(warmer, "product")
    eventually(lambda: load() == "in stock" and shop.calls == 3)
    eventually(lambda: not runtime_of(warmer).miss_handler._flights._flights)
    assert load() == "in stock"
    assert header_of(warmer).codec != ERROR


def test_an_error_comes_back_without_its_constructor(make_warmer, shop):
    shop.outcome = StubbornError(code=42)
    here, there = make_warmer(), make_warmer()
    with pytest.raises(StubbornError):
        product(here, shop, cache_errors={StubbornError: 30})()
    with pytest.raises(StubbornError, match=r"^code 42$") as caught:
        product(there, shop, cache_errors={StubbornError: 30})()
    assert caught.value.code == 42
    assert shop.calls == 1


def test_a_process_that_does_not_name_the_class_makes_none_of_it(make_warmer, shop):
    here, there = make_warmer(), make_warmer()
    with pytest.raises(NotFoundError):
        product(here, shop)()
    with pytest.raises(ComputationFailedError, match="NotFoundError"):
        product(there, shop, cache_errors={})()


def test_what_in_redis_names_another_class_is_never_made(make_warmer, shop):
    warmer = make_warmer()
    with pytest.raises(NotFoundError):
        product(warmer, shop)()
    name = store_of(warmer).keys.entry("product")
    entry = store_of(warmer).entries._client.get(name)
    forged = entry.replace(b".NotFoundError", b".OtherError000")
    assert forged != entry
    store_of(warmer).entries._client.set(name, forged)
    with pytest.raises(ComputationFailedError):
        product(warmer, shop)()


def test_secrets_in_an_error_are_not_written_down(make_warmer, shop):
    warmer = make_warmer()
    shop.outcome = NotFoundError("not at redis://:s3cret@db:6379")
    with pytest.raises(NotFoundError):
        product(warmer, shop)()
    assert b"s3cret" not in store_of(warmer).entries.read("product")


def test_a_huge_error_is_shortened(make_warmer, shop):
    warmer = make_warmer()
    shop.outcome = NotFoundError("x" * 1_000_000)
    with pytest.raises(NotFoundError):
        product(warmer, shop)()
    assert len(store_of(warmer).entries.read("product")) < 10_000
    with pytest.raises(NotFoundError, match="xxx"):
        product(make_warmer(), shop)()


def test_an_error_that_took_longer_than_it_lasts_is_still_cached(warmer, shop, monkeypatch):
    began = time.monotonic()
    monkeypatch.setattr(runtime_of(warmer).clock, "monotonic_s", lambda: began + 100 * shop.calls)
    load = product(warmer, shop, cache_errors={NotFoundError: 30})
    with pytest.raises(NotFoundError):
        load()
    remaining_ms = store_of(warmer).entries._client.pttl(store_of(warmer).keys.entry("product"))
    assert remaining_ms > 100_000


def test_followers_elsewhere_get_a_cached_error_as_itself(make_warmer, eventually):
    here, there, gate = make_warmer(flush_s=60, tick_s=60), make_warmer(flush_s=60, tick_s=60), Gate(NotFoundError("x"))
    options = {"task_id": "product", "cache_errors": {NotFoundError: 30}}
    leader = Beside(here.warmed("product", **options)(lambda: gate()))
    assert gate.entered.wait(10)
    follower = Beside(there.warmed("product", **options)(lambda: pytest.fail("stampede")))
    eventually(lambda: runtime_of(there).read_counter._reads)
    gate.may_go_on.set()
    for reader in (leader, follower):
        with pytest.raises(NotFoundError, match="x"):
            reader.result()
    assert gate.calls == 1


# --- workers ----------------------------------------------------------------------------------------------------------
def warm(warmer):
    warmer.warm("product", force=True)
    (result,) = work_off(warmer)
    return result


def task(shop, **options) -> WarmingTask:
    defaults = {"task_id": "product", "cache_key": "product", "compute_fn": lambda: shop.load(), "critical": True}
    return WarmingTask(**{**defaults, "cache_errors": {NotFoundError: 30}, **options})


def test_a_worker_caches_an_error_where_there_is_no_value(warmer, shop):
    warmer.register(task(shop))
    assert warm(warmer) is Result.PUBLISHED
    assert header_of(warmer).codec == ERROR
    assert warmer.get("product", "default") == "default"


def test_a_worker_that_meets_an_error_keeps_the_value_and_tries_again_later(warmer, shop):
    shop.outcome = "in stock"
    warmer.register(task(shop))
    assert warm(warmer) is Result.PUBLISHED
    shop.outcome = NotFoundError("gone for a moment")
    assert warm(warmer) is Result.FAILED
    assert warmer.get("product") == "in stock"
    now_ms, _ = store_of(warmer).reads.hottest(0)
    assert 0 < store_of(warmer).control.zscore(store_of(warmer).keys.due, "product") - now_ms <= 2_000
