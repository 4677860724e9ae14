"""Warmed functions: their calls read through the cache, and arguments and values keep their types on every way."""

import importlib
import inspect
import logging
import pickle
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

import warmer as library
from tests.support.flow import drain
from tests.support.runtimes import runtime_of, store_of
from warmer import (
    BulkWarming,
    InvalidTaskError,
    NotImportableError,
    Settings,
    StoreUnavailableError,
    UnknownTaskError,
    WaitTimeoutError,
    Warmer,
    Warming,
    WarmingTask,
)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    S = 1
    L = 3


class Product(BaseModel):
    id: int
    name: str
    price: Decimal = Decimal("1.50")


@dataclass(frozen=True)
class Place:
    row: int
    day: date


@dataclass
class Share:
    of: float


class Pair(NamedTuple):
    left: int
    right: str


class Shelf(TypedDict):
    products: list[Product]


class NotFoundError(Exception):
    pass


A_UUID = UUID("12345678-1234-5678-1234-567812345678")
A_TIME = datetime(2026, 11, 22, 13, 45, 0, 250_000, tzinfo=UTC)

ARGUMENTS: list[tuple[Any, Any]] = [
    (str, "a:b%c d/é"),
    (int, -42),
    (float, 0.1),
    (bool, True),
    (int | None, None),
    (str | None, "None"),
    (UUID, A_UUID),
    (date, date(2026, 2, 28)),
    (datetime, A_TIME),
    (Decimal, Decimal("10.00")),
    (Colour, Colour.BLUE),
    (Size, Size.L),
    (Product, Product(id=7, name="tea", price=Decimal("0.30"))),
    (Place, Place(3, date(2026, 1, 1))),
    (list[Product], [Product(id=1, name="a"), Product(id=2, name="b")]),
    (dict[str, Place], {"x": Place(1, date(2026, 1, 2))}),
]

RETURNS: list[tuple[Any, Any]] = [
    *ARGUMENTS,
    (dict[int, Product], {1: Product(id=1, name="a")}),
    (set[str], {"a", "b"}),
    (tuple[int, str], (1, "a")),
    (Pair, Pair(1, "a")),
    (Shelf, {"products": [Product(id=1, name="a")]}),
    (Product | None, None),
    (bytes, b"\x00\xff"),
    (list[tuple[UUID, Decimal]], [(A_UUID, Decimal("1.10"))]),
]


def name_of(case: Any) -> str | None:
    return getattr(case, "__name__", str(case)) if isinstance(case, type) or "[" in str(case)[:12] else None


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


# --- types on every way -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("annotation", "argument"), ARGUMENTS, ids=name_of)
def test_arguments_reach_readers_and_workers_as_they_were_passed(running, calls, annotation, argument):
    def load(argument):
        calls.append(argument)
        return len(calls)

    load.__annotations__ = {"argument": annotation, "return": int}
    load = running.warmed("load:{argument:hash}", ttl=60)(load)
    assert load(argument) == 1
    assert load(argument=argument) == 1
    assert load.many([(argument,), {"argument": argument}]) == [1, 1]
    assert load.get(argument) == 1
    assert running.get(load.key(argument)) == 1
    assert load.refresh(argument) == 2
    assert load(argument) == 2
    handle = load.warm(argument, force=True)
    assert drain(running) == 1
    assert handle.wait(5).success
    assert load(argument) == 3
    load.invalidate(argument)
    assert load.get(argument, default="gone") == "gone"
    assert load.many([(argument,)]) == [4]
    assert calls == [argument] * 4
    assert {type(call) for call in calls} == {type(argument)}


@pytest.mark.parametrize(("annotation", "value"), RETURNS, ids=name_of)
def test_values_come_back_as_what_the_annotation_says(running, annotation, value):
    def load(n: int):
        return value

    load.__annotations__["return"] = annotation
    load = running.warmed("load:{n}", ttl=60)(load)

    ways: dict[str, Callable[[], Any]] = {
        "a miss": lambda: load(1),
        "a hit": lambda: load(1),
        "get": lambda: load.get(1),
        "get by key": lambda: running.get(load.key(1)),
        "get_many by key": lambda: running.get_many([load.key(1)])[load.key(1)],
        "many": lambda: load.many([1])[0],
        "refresh": lambda: load.refresh(1),
        "a hit after it": lambda: load(1),
    }
    for way, read in ways.items():
        assert (way, read(), type(read())) == (way, value, type(value))
    load.warm(3)
    drain(running)
    assert (load.get(3, default="missing"), type(load.get(3))) == (value, type(value))


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


def test_a_worker_finds_the_key_of_arguments_that_only_mean_the_same(running, calls):
    @running.warmed("measure:{share.of}:{share:hash}", ttl=60)
    def measure(share: Share) -> str:
        calls.append(share)
        return repr(share)

    measure.warm(Share(1))
    drain(running)
    assert measure(Share(1)) == measure(Share(1.0)) == measure(Share(True)) == "Share(of=1.0)"
    assert len(calls) == 1


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


# --- warming ----------------------------------------------------------------------------------------------------------
def test_a_worker_computes_itself_and_never_reads_its_own_warm_value(running, calls):
    double = doubling(running, calls)
    assert double(4) == 8
    handle = double.warm(4, force=True)
    assert drain(running) == 1
    assert handle.wait(5).result == "published"
    assert calls == [4, 4]


def test_by_their_path_too_workers_compute_warmed_functions_themselves(running, calls, tmp_path, monkeypatch):
    (tmp_path / "decorated_shop.py").write_text(
        "from warmer import warmed\ncalls = []\n"
        "@warmed('never:{n}', ttl=60)\ndef triple(n: int) -> int:\n    calls.append(n)\n    return 3 * n\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "decorated_shop", raising=False)
    running.register(WarmingTask(task_id="by-path", cache_key="triple:{n}", compute_fn="decorated_shop:triple"))
    outcome = running.warm("by-path", {"n": 5})
    drain(running)
    assert outcome.wait(5).success
    assert running.get("triple:5") == 15
    assert importlib.import_module("decorated_shop").calls == [5]


def test_warming_ensures_unless_forced(running, calls):
    double = doubling(running, calls)
    double(1)
    ensured = double.warm(1)
    drain(running)
    assert ensured.wait(5).result == "fresh"
    assert calls == [1]


def test_a_failure_is_told_to_whoever_waits(running):
    @running.warmed("broken:{n}", ttl=60)
    def broken(n: int) -> int:
        raise OSError("the database is down")

    handle = broken.warm(1)
    drain(running)
    outcome = handle.wait(5)
    assert (outcome.success, outcome.result) == (False, "failed")
    assert "OSError: the database is down" in (outcome.error or "")
    assert handle.wait(0) is outcome is handle.outcome


def test_all_threads_that_wait_on_one_handle_are_told(running, calls):
    double = doubling(running, calls)
    handle = double.warm(1)
    outcomes: list[Any] = []
    threads = [threading.Thread(target=lambda: outcomes.append(handle.wait(20))) for _ in range(5)]
    for thread in threads:
        thread.start()
    assert handle.outcome is None
    drain(running)
    for thread in threads:
        thread.join(1.5)  # not a blocking command's whole time-out later
    assert [outcome.result for outcome in outcomes] == ["published"] * 5


def test_waiting_has_a_bound_and_can_be_tried_again(running, calls):
    double = doubling(running, calls)
    handle = double.warm(1)
    assert "requested" in repr(handle)
    with pytest.raises(WaitTimeoutError, match=r"was not warmed within 0\.05 s; is a worker alive"):
        handle.wait(0.05)
    drain(running)
    assert handle.wait(5).success
    assert "published" in repr(handle)


def test_a_target_that_no_worker_has_begun_can_be_cancelled(running, calls):
    double = doubling(running, calls)
    handle = double.warm(1)
    assert (handle.is_done, handle.is_cancelled) == (False, False)
    handle.cancel()
    assert (handle.is_done, handle.is_cancelled) == (True, True)
    assert (handle.wait(0).result, handle.wait(0).success, handle.wait(0).error) == ("cancelled", False, None)
    drain(running)
    assert calls == []
    assert double.get(1) is None


def test_a_target_that_a_worker_has_begun_is_finished_though_it_is_cancelled(running):
    handles = []

    @running.warmed("halved:{n}", ttl=60)
    def halved(n: int) -> float:
        handles[0].cancel()
        return n / 2

    handles.append(halved.warm(3))
    drain(running)
    assert handles[0].wait(5).result == "published"
    assert handles[0].is_cancelled
    assert halved.get(3) == 1.5


def test_what_one_waiter_cancels_is_still_warmed_for_another(running, calls):
    double = doubling(running, calls)
    first, second = double.warm(1), double.warm(1)
    first.cancel()
    assert first.wait(0).result == "cancelled"
    drain(running)
    assert (second.wait(5).result, calls) == ("published", [1])


def test_cancelling_what_has_ended_changes_nothing(running, calls):
    handle = doubling(running, calls).warm(1)
    drain(running)
    assert handle.is_done
    handle.cancel()
    assert (handle.is_cancelled, handle.outcome.result) == (False, "published")


def test_one_target_and_many_are_waited_for_in_the_same_way():
    shared = {"wait", "within", "__await__", "cancel", "outcome", "is_done", "is_cancelled", "task_id"}
    for handle in (Warming, BulkWarming):
        assert shared <= {*dir(handle), *inspect.signature(handle).parameters}


def test_a_task_that_was_unregistered_or_is_disabled_still_reads_but_cannot_be_warmed(warmer, calls):
    double = doubling(warmer, calls)
    double(1)
    runtime_of(warmer).registration.register_declared()
    assert warmer.unregister(double.task.task_id)
    assert double(1) == 2
    with pytest.raises(UnknownTaskError, match="is not registered"):
        double.warm(1)
    off = doubling(warmer, calls, enabled=False, task_id="off")
    assert (off(3), off(3), calls) == (6, 6, [1, 3])
    with pytest.raises(UnknownTaskError, match="'off' is disabled"):
        off.warm(3)


def test_a_warm_value_counts_as_the_task_s(running, calls, eventually):
    double = doubling(running, calls)
    double(1)
    double(1)
    runtime_of(running).background.tick()
    (detail,) = running.stats()["task_details"]
    assert (detail["task_id"], detail["hits"], detail["misses"]) == (double.task.task_id, 1, 1)


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


def test_decorating_anew_takes_the_place_of_what_was_there(running, calls):
    doubling(running, calls, ttl=60)
    runtime_of(running).registration.register_declared()
    double = doubling(running, calls, ttl=120)
    assert double(1) == 2
    runtime_of(running).registration.register_declared()
    assert store_of(running).tasks.definitions()[double.task.task_id]["ttl"] == 120
    double.warm(2)
    drain(running)
    assert double.get(2) == 4


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


def test_a_function_that_workers_cannot_import_is_cached_all_the_same_and_that_is_said_once(make_warmer, calls, caplog):
    fleet_app = make_warmer(embedded=False)
    double = doubling(fleet_app, calls)
    with caplog.at_level(logging.WARNING, "warmer"):
        assert double(1) == double(1) == 2
        for _ in range(3):
            runtime_of(fleet_app).background.tick()
    assert calls == [1]
    told = [record.getMessage() for record in caplog.records if "is not kept warm" in record.getMessage()]
    assert len(told) == 1
    assert "is a local function" in told[0]
    assert store_of(fleet_app).tasks.definitions() == {}


# --- the default Warmer ---------------------------------------------------------------------------------------------
@pytest.fixture
def default(server, namespace):
    yield partial(library.configure, redis_url=server.url, namespace=namespace, embedded=True, flush_s=0.1, tick_s=0.1)
    library.configure(embedded=True)


def test_functions_follow_the_default_warmer_wherever_it_goes(default, namespace, calls):
    @library.warmed("followed:{n}", ttl=60)
    def double(n: int) -> int:
        calls.append(n)
        return 2 * n

    for space in ("a", "b"):
        configured = default(namespace=f"{namespace}-{space}")
        assert double(1) == double(1) == library.get("followed:1") == 2
        runtime_of(configured).background.tick()
        assert double.task.task_id in store_of(configured).tasks.definitions()
    assert calls == [1, 1]


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
def test_a_typed_value_is_a_miss_by_key_where_its_task_is_not_known_and_that_is_said_once(warmer, make_warmer, caplog):
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
