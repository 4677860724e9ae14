"""Warmed functions: their calls read through the cache, and arguments and values keep their types on every way."""

import inspect
import logging
import pickle
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel

import warmer as library
from warmer import (
    BulkWarming,
    InvalidTaskError,
    NotImportableError,
    Settings,
    StoreUnavailableError,
    Warmer,
    Warming,
    WarmingTask,
)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Product(BaseModel):
    id: int
    name: str
    price: Decimal = Decimal("1.50")


@dataclass(frozen=True)
class Place:
    row: int
    day: date


class NotFoundError(Exception):
    pass


@pytest.fixture
def calls() -> list[Any]:
    return []


@pytest.fixture
def running(warmer):
    warmer.start()
    return warmer


def doubling(warmer: Warmer, calls: list[Any], **options: Any) -> Any:
    @warmer.warmed("double:{n}", **{"ttl": 60, **options})
    def double(n: int) -> int:
        """Twice as much."""
        calls.append(n)
        return 2 * n

    return double


def test_different_arguments_never_share_a_key(running):
    @running.warmed("price:{product}:{shop}", ttl=60)
    def price(product: str | None, shop: str) -> str:
        return f"{product!r} at {shop!r}"

    arguments = [("a:b", "c"), ("a", "b:c"), ("None", "x"), (None, "x"), ("", "x"), ("%6A", "x"), ("j", "x")]
    assert price.many(arguments) == [f"{product!r} at {shop!r}" for product, shop in arguments]
    assert len({price.key(*one) for one in arguments}) == len(arguments)


def test_what_means_the_same_is_the_same_target(warmer, calls):
    double = doubling(warmer, calls)
    assert double(21) == double("21") == double(n=21) == 42
    assert calls == [21]


def test_a_key_takes_attributes_and_digests(warmer):
    @warmer.warmed("cart:{product.id}:{query:hash}", ttl=60, tags={"product:{product.id}"})
    def search(product: Product, query: str) -> list[str]:
        return [product.name, query]

    tea, query = Product(id=7, name="tea"), "every word " * 200
    assert search(tea, query) == ["tea", query]
    assert search.key(tea, query).startswith("cart:7:")
    assert search.get(tea, query) == ["tea", query]


def test_an_argument_that_the_caller_changes_later_changes_nothing_computed_before(warmer):
    class Filters(BaseModel):
        text: str

    @warmer.warmed("search:{filters:hash}", ttl=60)
    def search(filters: Filters) -> str:
        return filters.text

    filters = Filters(text="a")
    assert search(filters) == "a"
    filters.text = "b"
    assert search(filters) == "b"
    search.invalidate(Filters(text="a"))
    assert search(Filters(text="a")) == "a"


def test_what_a_function_does_to_its_arguments_changes_no_later_call(warmer):
    @warmer.warmed("ids:{ids:hash}", ttl=60)
    def spoiling(ids: list[int] = [1]) -> list[int]:  # noqa: B006
        ids.append(len(ids))
        return ids

    keys = {spoiling.key()}
    for _ in range(2):
        assert spoiling() == [1, 1]
        spoiling.invalidate()
        keys.add(spoiling.key())
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ((tuple[int, ...], (2, 1, 2)), (set[int], {1, 2})),
        ((tuple[int, ...], (2, 1)), (list[int], [2, 1])),
        ((Product, Product(id=1, name="a")), (Place, Place(1, date(2026, 1, 1)))),
        ((Product, Product(id=1, name="a")), (dict, {"id": 1})),
    ],
)
def test_after_a_deploy_that_changes_the_annotation_values_are_computed_anew(make_warmer, before, now):
    for annotation, value in (before, now):

        def load(n: int, value: Any = value) -> Any:
            return value

        load.__annotations__["return"] = annotation
        load = make_warmer().warmed("load:{n}", task_id="load", ttl=60)(load)
        for found in (load(1), load(1), load.get(1)):
            assert (found, type(found)) == (value, type(value))


def test_a_reader_may_change_what_it_got(warmer):
    @warmer.warmed("list:{n}", ttl=60)
    def numbers(n: int) -> list[int]:
        return [n]

    numbers(1)
    numbers(1).append(2)
    assert numbers(1) == [1]
    first, second = numbers.many([1, 1])
    first.append(2)
    assert second == [1]


def test_parameters_with_a_default_may_be_left_out(warmer):
    @warmer.warmed("page:{name}:{language}", ttl=60)
    def page(name: str, language: str = "en", colour: Colour = Colour.RED) -> str:
        return f"{name} in {language}"

    assert page("home") == page("home", "en") == page(name="home", language="en") == "home in en"
    assert page.key("home") == page.key("home", language="en") == "page:home:en"
    with pytest.raises(InvalidTaskError, match="calls that differ in \\['colour'\\] would share a key"):
        page("home", colour=Colour.BLUE)


def test_a_function_without_arguments_is_warmed_as_well(running, calls):
    @running.warmed("catalog", ttl=60, priority=80)
    def catalog() -> list[Product]:
        calls.append(1)
        return [Product(id=1, name="tea")]

    assert catalog() == catalog() == running.get("catalog") == [Product(id=1, name="tea")]
    assert catalog.many([(), {}]) == [[Product(id=1, name="tea")]] * 2
    assert calls == [1]


# --- calls, one by one ----------------------------------------------------------------------------------------------
def test_a_call_computes_once_and_then_reads(warmer, calls):
    double = doubling(warmer, calls)
    assert [double(1), double(1), double(2)] == [2, 2, 4]
    assert calls == [1, 2]


def test_arguments_that_do_not_fit_are_refused_before_anything_is_read(warmer, calls):
    double = doubling(warmer, calls)
    for misfit in (double, double.get, double.key, double.refresh, double.warm, double.invalidate):
        with pytest.raises(InvalidTaskError, match="'n' must be of type int, got 'many'"):
            misfit("many")
        with pytest.raises(InvalidTaskError, match="takes the arguments \\['n'\\], got \\[\\]"):
            misfit()
    with pytest.raises(InvalidTaskError, match="got \\['m', 'n'\\]"):
        double.many([{"n": 1}, {"n": 1, "m": 2}])
    assert calls == []


def test_get_looks_and_computes_nothing(warmer, calls):
    double = doubling(warmer, calls)
    assert double.get(1) is None
    assert double.get(1, default="nothing") == "nothing"
    assert double.get(n=1, default="nothing") == "nothing"
    assert calls == []
    double(1)
    assert double.get(1, default="nothing") == 2


def test_a_cached_none_is_a_value(warmer, calls):
    @warmer.warmed("found:{n}", ttl=60)
    def found(n: int) -> Product | None:
        calls.append(n)
        return None

    assert found(1) is found(1) is None
    assert found.get(1, default="nothing") is None
    assert found.many([1, 1]) == [None, None]
    assert warmer.get(found.key(1), "nothing") is None
    assert warmer.get_many([found.key(1)]) == {found.key(1): None}
    assert calls == [1]


def test_refresh_computes_whatever_is_cached_and_keeps_it_when_that_fails(warmer, calls):
    double = doubling(warmer, calls)
    double(1)
    assert double.refresh(1) == 2
    assert calls == [1, 1]

    @warmer.warmed("fragile:{n}", ttl=60)
    def fragile(n: int) -> str:
        calls.append(n)
        if len(calls) > 3:
            raise NotFoundError("it is gone")
        return "here"

    assert fragile(5) == "here"
    with pytest.raises(NotFoundError, match="it is gone"):
        fragile.refresh(5)
    assert fragile(5) == "here"


def test_cached_errors_are_raised_by_calls_and_are_misses_for_get(warmer, calls):
    @warmer.warmed("found:{n}", ttl=60, cache_errors={NotFoundError: 30})
    def found(n: int) -> int:
        calls.append(n)
        if n == 13:
            raise NotFoundError("no thirteen")
        return n

    for _ in range(2):
        with pytest.raises(NotFoundError, match="no thirteen"):
            found(13)
        with pytest.raises(NotFoundError, match="no thirteen"):
            found.many([1, 13, 2])
    assert calls.count(13) == 1
    assert found.get(13, default="missing") == "missing"
    assert warmer.get(found.key(13), "missing") == "missing"
    assert warmer.get_many([found.key(13)]) == {}
    found.invalidate(13)
    with pytest.raises(NotFoundError, match="no thirteen"):
        found(13)
    assert calls.count(13) == 2


def test_a_function_may_call_itself_and_others(warmer, calls):
    @warmer.warmed("fibonacci:{n}", ttl=60)
    def fibonacci(n: int) -> int:
        calls.append(n)
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    assert fibonacci(12) == 144
    assert sorted(calls) == list(range(13))


def test_one_target_and_many_are_waited_for_in_the_same_way():
    shared = {"wait", "within", "__await__", "cancel", "outcome", "is_done", "is_cancelled", "task_id"}
    for handle in (Warming, BulkWarming):
        assert shared <= {*dir(handle), *inspect.signature(handle).parameters}


# --- what decorating makes of a function ----------------------------------------------------------------------------
def test_a_warmed_function_still_looks_like_one(warmer, calls):
    double = doubling(warmer, calls)
    assert (double.__name__, double.__doc__) == ("double", "Twice as much.")
    assert double.task.task_id == f"{__name__}.doubling.double"
    assert double.key(4) == "double:4"
    assert double.warmed_function(4) == 8
    assert repr(double) == f"<warmed {__name__}.doubling.double: double:{{n}}>"


def test_attributes_of_the_function_do_not_displace_those_of_the_warmed_one(warmer):
    def load(n: int) -> int:
        return n

    load.task, load.owner = "something else", "shop"
    warmed = warmer.warmed("load:{n}")(load)
    assert warmed.owner == "shop"
    assert warmed.task.cache_key == "load:{n}"
    assert warmed(3) == 3


def test_a_warmed_function_is_pickled_by_its_name():
    assert pickle.loads(pickle.dumps(top_level)) is top_level


@library.warmed("top-level:{n}", task_id="top-level")
def top_level(n: int) -> int:
    return n


def rows(n: int):
    yield n


async def async_rows(n: int):
    yield n


@pytest.mark.parametrize(
    ("decorate", "words"),
    [
        (lambda warmed: warmed("user:{user_id}")(lambda uid: uid), "has the fields \\['user_id'\\]"),
        (lambda warmed: warmed("user")(lambda uid: uid), "needs the arguments \\['uid'\\]"),
        (lambda warmed: warmed("{a}{b}")(lambda a, b: a), "put a separator"),
        (lambda warmed: warmed("user:{uid}", ttl=-1)(lambda uid: uid), "ttl"),
        (lambda warmed: warmed("user:{uid}", nonsense=1)(lambda uid: uid), "nonsense"),
        (lambda warmed: warmed("user:{uid}", tags={"{other}"})(lambda uid: uid), "the tag"),
        (lambda warmed: warmed("user:{uid}")(42), "decorates a function, got 42"),
        (lambda warmed: warmed(lambda uid: uid), "needs a key template, as in @warmed"),
        (lambda warmed: warmed("user:{default}")(lambda default: default), "'default' is a word of"),
        (lambda warmed: warmed("user:{force}")(lambda force: force), "'force' is a word of"),
        (lambda warmed: warmed("user:{uid}")(partial(max, 1)), "has no name that the task could take over"),
        (lambda warmed: warmed("a:{n}")(warmed("b:{n}")(lambda n: n)), "decorates a function, got <warmed"),
        (lambda warmed: warmed("user:{uid}", task_id="not an id")(lambda uid: uid), "task_id"),
        (lambda warmed: warmed("rows:{n}")(rows), "refused: compute_fn .* generator function, .* return a list"),
        (lambda warmed: warmed("rows:{n}")(async_rows), "is a generator function"),
        (
            lambda warmed: warmed(WarmingTask(task_id="x", cache_key="x", compute_fn="pkgutil:walk_packages")),
            "task 'x' refused: .* list",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_where_it_is_written(decorate, words):
    for warmed in (library.warmed, Warmer(Settings.load(embedded=True)).warmed):
        with pytest.raises(InvalidTaskError, match=words):
            decorate(warmed)


def test_a_partial_can_be_warmed_under_a_name(warmer):
    def power(base: int, exponent: int) -> int:
        return base**exponent

    square = warmer.warmed("square:{base}", task_id="square")(partial(power, exponent=2))
    assert square(5) == square.get(5) == 25


def test_two_functions_that_took_the_same_name_do_not_renew_each_other_s_keys(make_warmer, eventually):
    warmer = make_warmer()

    def make(shop: str) -> Any:
        @warmer.warmed(f"{shop}:{{n}}", ttl=60, refresh_ahead=59)
        def price(n: int) -> str:
            return shop

        return price

    north, south = make("north"), make("south")
    assert (north(1), south(1)) == ("north", "south")
    assert warmer.get(north.key(1)) == "north"
    assert warmer.get(south.key(1)) == "south"
    assert (north(1), south(1)) == ("north", "south")


def test_functions_of_two_warmers_know_only_their_own(make_warmer, calls):
    left, right = make_warmer(), make_warmer(namespace="test-other-shop")
    doubles = [doubling(left, calls), doubling(right, calls)]
    assert [double(1) for double in doubles] == [2, 2]
    assert calls == [1, 1]
    doubles[0].invalidate(1)
    assert doubles[1].get(1) == 2
    doubles[1].invalidate(1)


def test_nothing_is_sent_while_decorating(make_warmer, calls):
    nowhere = make_warmer(redis_url="redis://127.0.0.1:1/0", redis_timeout_s=0.2)
    double = doubling(nowhere, calls)
    assert double.key(1) == "double:1"
    assert double(1) == 2, "without Redis calls compute"
    assert double.many([2, 3]) == [4, 6]
    assert double.get(1, default="away") == "away"
    for unable in (double.refresh, double.warm, double.invalidate):
        with pytest.raises(StoreUnavailableError, match="check that the server at WARMER_REDIS_URL is up"):
            unable(1)


# --- the default Warmer ---------------------------------------------------------------------------------------------
@pytest.fixture
def default(server, namespace):
    yield partial(library.configure, redis_url=server.url, namespace=namespace, embedded=True, flush_s=0.1, tick_s=0.1)
    library.configure(embedded=True)


def test_settings_are_given_in_one_way_only():
    with pytest.raises(library.SettingsError, match="got both: \\['embedded'\\]"):
        library.configure(Settings.load(), embedded=True)


def test_a_task_s_function_can_be_had_without_a_decorator(default, calls):
    def load(product_id: int) -> Product:
        calls.append(product_id)
        return Product(id=product_id, name="tea")

    default()
    task = WarmingTask(task_id="product", cache_key="product:{product_id}", compute_fn=load, ttl=60)
    library.register_warming_task(task)
    product = library.warmed(task)
    assert product(42) == product(product_id=42) == library.get("product:42") == Product(id=42, name="tea")
    assert product.task is task
    assert calls == [42]
    with pytest.raises(InvalidTaskError, match="has all its options itself, got \\['ttl'\\] beside it"):
        library.warmed(task, ttl=5)


def test_a_task_s_function_may_be_given_by_its_path(default):
    default()
    name = library.warmed(WarmingTask(task_id="name", cache_key="name:{p}", compute_fn="posixpath:basename", ttl=60))
    assert name(p="shop/tea") == name(p="shop/tea") == library.get(name.key(p="shop/tea")) == "tea"
    with pytest.raises(NotImportableError, match="shop_that_is_not"):
        library.warmed(WarmingTask(task_id="lost", cache_key="lost", compute_fn="shop_that_is_not:load"))


# --- typed values, by their key -------------------------------------------------------------------------------------
def test_a_typed_value_without_its_task_is_a_miss_by_key_and_is_logged_once(warmer, make_warmer, caplog):
    @warmer.warmed("product:{n}", ttl=60)
    def product(n: int) -> Product:
        return Product(id=n, name="tea")

    @warmer.warmed("plain:{n}", ttl=60)
    def plain(n: int) -> dict[str, int]:
        return {"id": n}

    for n in (1, 2):
        product(n), plain(n)
    stranger = make_warmer()
    with caplog.at_level(logging.WARNING, "warmer.cache"):
        assert [stranger.get(f"product:{n}", "unknown") for n in (1, 2, 1)] == ["unknown"] * 3
        assert stranger.get_many(["product:1", "plain:1"]) == {"plain:1": {"id": 1}}
    assert len([record for record in caplog.records if "unreadable" in record.getMessage()]) == 1
    assert warmer.get("product:1") == Product(id=1, name="tea")


@pytest.mark.parametrize("function", [None, 42, "shop:load"])
def test_what_is_no_function_is_refused_before_anything_is_read(warmer, function):
    warmer.set("k", "cached")
    with pytest.raises(InvalidTaskError, match="compute_fn must be a function, got"):
        warmer.get_or_compute("k", function)
