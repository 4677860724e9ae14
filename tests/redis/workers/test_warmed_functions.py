"""Warmed functions as workers compute them: arguments and values keep their types, and a handle tells the outcome."""

import importlib
import logging
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
    UnknownTaskError,
    WaitTimeoutError,
    Warmer,
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


def test_a_worker_finds_the_key_of_arguments_that_only_mean_the_same(running, calls):
    @running.warmed("measure:{share.of}:{share:hash}", ttl=60)
    def measure(share: Share) -> str:
        calls.append(share)
        return repr(share)

    measure.warm(Share(1))
    drain(running)
    assert measure(Share(1)) == measure(Share(1.0)) == measure(Share(True)) == "Share(of=1.0)"
    assert len(calls) == 1


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
