"""Values set by hand: what was computed from older data never takes their place."""

from dataclasses import dataclass
from decimal import Decimal

import pytest
from pydantic import BaseModel

from tests.support.interleaving import Beside, Gate
from warmer import CodecError, InvalidTaskError, StoreUnavailableError, ValueTooLargeError, WarmingTask


class Product(BaseModel):
    id: int
    price: Decimal = Decimal("1.50")


@dataclass
class Place:
    row: int


@pytest.mark.parametrize("value", [None, 0, "", [], {"a": [1, 2.5, None]}, "é", True])
def test_what_is_set_is_got(warmer, value):
    warmer.set("k", value, ttl=60)
    assert warmer.get("k", "missing") == value
    assert warmer.get_or_compute("k", lambda: pytest.fail("there is a value")) == value


def test_what_is_set_takes_the_place_of_what_was_there(warmer):
    warmer.set("k", "old")
    warmer.set("k", "new")
    assert warmer.get("k") == "new"


def test_a_computation_that_began_before_is_not_published(warmer):
    gate = Gate("from the old data")
    reader = Beside(lambda: warmer.get_or_compute("k", gate, ttl=60))
    assert gate.entered.wait(10)
    warmer.set("k", "from the new data")
    assert warmer.get("k") == "from the new data"
    gate.may_go_on.set()
    assert reader.result() == "from the old data", "its own caller gets what it computed"
    assert warmer.get("k") == "from the new data"


def test_a_warmed_function_s_computation_that_began_before_is_not_published(warmer):
    gate = Gate(Product(id=1))

    def load(n: int) -> Product:
        return gate()

    product = warmer.warmed("product:{n}", ttl=60)(load)
    reader = Beside(lambda: product(1))
    assert gate.entered.wait(10)
    warmer.set(product.key(1), Product(id=2))
    gate.may_go_on.set()
    assert reader.result() == Product(id=1)
    assert product(1) == Product(id=2)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(Product, Product(id=1)), (Place, Place(3)), (set[int], {1, 2}), (Product | None, None)],
)
@pytest.mark.parametrize("template", ["load", "load:{n}", "load:{product.id}:{n:hash}"])
def test_a_typed_value_is_set_as_what_the_function_of_the_key_returns(warmer, template, annotation, value):
    def load(n: int = 7, product: Product = Product(id=5)):  # noqa: B008
        pytest.fail("there is a value")

    load.__annotations__["return"] = annotation
    read = warmer.warmed(template, ttl=60)(load)
    warmer.set(read.key(), value, ttl=60)
    for found in (read(), read.get(), warmer.get(read.key(), "missing"), warmer.get_many([read.key()])[read.key()]):
        assert (found, type(found)) == (value, type(value))


def test_where_two_templates_could_make_the_key_a_typed_value_is_refused(warmer):
    for name, template in (("a", "shop:{n}"), ("b", "{what}:{n}")):

        def load(**fields: object) -> Product:
            return Product(id=1)

        warmer.warmed(template, task_id=name)(load)
    with pytest.raises(CodecError, match="'shop:1' cannot be stored"):
        warmer.set("shop:1", Product(id=1))
    warmer.set("shop:1", {"id": 1})
    assert warmer.get("shop:1") == {"id": 1}


def test_what_cannot_be_stored_is_refused_and_what_was_there_stays(warmer):
    gate = Gate("computed")
    warmer.set("k", "before")
    with pytest.raises(CodecError, match="the value for cache key 'k' cannot be stored"):
        warmer.set("k", object())
    with pytest.raises(CodecError, match="cannot be stored"):
        warmer.set("k", {1, 2})
    assert warmer.get("k") == "before"
    reader = Beside(lambda: warmer.get_or_compute("other", gate, ttl=60))
    assert gate.entered.wait(10)
    with pytest.raises(CodecError):
        warmer.set("other", object())
    gate.may_go_on.set()
    reader.result()
    assert warmer.get("other") == "computed", "what was refused has voided nobody's lease"


def test_what_is_too_large_is_refused_by_name_and_size(make_warmer):
    warmer = make_warmer(max_value_bytes=100)
    warmer.set("k", "x" * 98)
    with pytest.raises(ValueTooLargeError, match="'k' takes 101 bytes; at most 100 may be stored"):
        warmer.set("k", "x" * 99)
    warmer.register(WarmingTask(task_id="t", cache_key="own", compute_fn=lambda: "", ttl=60, max_value_bytes=300))
    warmer.set("own", "x" * 200)
    assert (warmer.get("k"), warmer.get("own")) == ("x" * 98, "x" * 200)


def test_without_redis_setting_says_so(make_warmer):
    warmer = make_warmer(redis_url="redis://user:s3cret@127.0.0.1:1/0", redis_timeout_s=0.2)
    with pytest.raises(StoreUnavailableError, match="check that the server at WARMER_REDIS_URL is up") as raised:
        warmer.set("k", 1)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("ttl", [0, -1, True, "60", None, float("nan"), float("inf")])
def test_unusable_ttls_are_refused(warmer, ttl):
    with pytest.raises(InvalidTaskError, match="ttl must be a number of seconds above 0"):
        warmer.set("k", 1, ttl=ttl)


@pytest.mark.parametrize("key", ["", "x" * 513, None, "a\nb"])
def test_unusable_keys_are_refused(warmer, key):
    with pytest.raises(InvalidTaskError, match="a cache key must be"):
        warmer.set(key, 1)


def test_what_is_set_is_no_read_and_no_computation(warmer):
    warmer.register(WarmingTask(task_id="t", cache_key="k", compute_fn=lambda: 1, ttl=60))
    warmer.set("k", 1)
    (detail,) = warmer.stats()["task_details"]
    assert (detail["run_count"], detail["hits"], detail["misses"]) == (0, 0, 0)
