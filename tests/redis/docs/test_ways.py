"""The three ways through the house: few files, few calls, and just the files that docs/architecture.md lists."""

import threading
from typing import Any

import pytest

from tests.support.flow import drain
from tests.support.runtimes import runtime_of
from tests.support.ways import Way, traced, way_on_page
from warmer_workers.drain import Drain
from warmer_workers.job_context import JobContext

DRAINS = 5
"""A drain looks around every 40 ms while it waits for its threads: the one that had to wait least is counted."""


@pytest.fixture
def warmer(make_warmer: Any) -> Any:
    made = make_warmer(flush_s=60, tick_s=60)
    made.start()
    return made


@pytest.fixture
def product(warmer: Any) -> Any:
    """A function that has been read, missed and warmed before."""

    @warmer.warmed("product:{product_id}", ttl=600, task_id="product")
    def product(product_id: int) -> dict[str, int]:
        return {"id": product_id}

    for _ in range(2):
        product(1)
        warmer.get("product:1")
    product(2)
    product.warm(3)
    drain(warmer)
    return product


def way_of_a_drain(warmer: Any, product: Any, product_id: int) -> Way:
    """Trace a worker's drain of one target."""
    runtime, deadlines = runtime_of(warmer), list[float]()
    job = JobContext(runtime, "worker-1", threading.Event(), extend_deadline=deadlines.append, is_burst=True)
    product.warm(product_id)
    with traced() as way:
        assert Drain(job).run() == 1
    assert deadlines
    return way


def test_a_hit(warmer: Any, product: Any) -> None:
    with traced() as way:
        assert warmer.get("product:1") == {"id": 1}
    assert way.calls.total() <= 22, str(way)
    assert way.files == way_on_page("A hit"), str(way)


def test_a_miss(product: Any) -> None:
    with traced() as way:
        assert product(42) == {"id": 42}
    assert len(way.files) <= 24, str(way)
    assert way.calls.total() <= 150, str(way)
    assert way.files == way_on_page("A miss"), str(way)


def test_a_refresh_by_a_worker(warmer: Any, product: Any) -> None:
    ways = [way_of_a_drain(warmer, product, 100 + n) for n in range(DRAINS)]
    way = min(ways, key=lambda one: one.calls.total())
    assert len(way.files) <= 28, str(way)
    assert way.calls.total() <= 280, str(way)
    listed = way_on_page("A refresh by a worker")
    assert set(way.files) == set(listed), str(way)
    assert way.own_files == [file for file in listed if file in way.own_files], str(way)
