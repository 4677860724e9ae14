"""Decorated functions in real processes: workers know them by importing their module, and compute them themselves."""

import subprocess
import sys

import pytest

SHOP = """
    import os
    from dataclasses import dataclass
    from datetime import UTC, date, datetime
    from decimal import Decimal
    from enum import Enum
    from pathlib import Path
    from uuid import UUID

    from pydantic import BaseModel
    from warmer import warmed

    HERE = Path(__file__).parent

    class Colour(Enum):
        RED = "red"

    class Product(BaseModel):
        id: int
        price: Decimal
        at: datetime

    @dataclass(frozen=True)
    class Place:
        row: int
        day: date

    def mark(name, text):
        with (HERE / name).open("a") as file:
            file.write(f"{text}\\n")

    @warmed("product:{product_id}", ttl=600, priority=50, tags={"catalog", "product:{product_id}"})
    def product(product_id: int) -> Product:
        mark("computed", f"{os.getpid()} product {product_id!r}")
        return Product(id=product_id, price=Decimal("9.90"), at=datetime(2026, 11, 22, tzinfo=UTC))

    @warmed("stock:{place.row}:{uid}:{colour}:{share}", ttl=600)
    async def stock(place: Place, uid: UUID, colour: Colour = Colour.RED, share: float | None = None) -> list[Place]:
        mark("computed", f"{os.getpid()} stock {place!r} {uid!r} {colour!r} {share!r}")
        return [place, place]

    @warmed("catalog", ttl=600, critical=True)
    def catalog() -> dict[int, Product]:
        mark("computed", f"{os.getpid()} catalog")
        return {1: product(1)}

    @warmed("broken:{n}", ttl=600)
    def broken(n: int) -> int:
        raise LookupError(f"no {n}")
"""


@pytest.fixture
def shop(fleet):
    fleet.write("shop", SHOP)
    return fleet


def computed(fleet) -> list[str]:
    return sorted(line.partition(" ")[2] for line in fleet.lines("computed"))


def test_workers_compute_what_an_application_asks_for_and_it_reads_typed_values(shop):
    shop.worker(module="shop")
    printed = shop.python(
        """
        import asyncio, os
        from datetime import date
        from uuid import UUID
        import warmer
        from shop import Place, Product, product, stock, broken

        uid, place = UUID(int=7), Place(3, date(2026, 1, 2))

        async def ask():
            handles = [product.warm(42), product.warm(product_id="43"), await stock.warm(place, uid, share=0.5)]
            outcomes = [handles[0].wait(30), await handles[1], await handles[2].within(30)]
            print([outcome.result for outcome in outcomes])
            failed = await broken.warm(1).within(30)
            print(failed.result, failed.error)
            found = await stock(place, uid, share=0.5)
            print(found == [place, place], type(found[0]) is Place)

        asyncio.run(ask())
        found = product.many([42, 43])
        print([one.id for one in found], {type(one).__name__ for one in found})
        print(warmer.get("product:42") == found[0], warmer.get_many(["product:43"])["product:43"] == found[1])
        print(os.getpid())
        """
    )
    lines = printed.splitlines()
    assert lines[:-1] == [
        "['published', 'published', 'published']",
        "failed LookupError: no 1",
        "True True",
        "[42, 43] {'Product'}",
        "True True",
    ]
    assert [line for line in computed(shop) if not line.startswith("catalog")] == [
        "product 42",
        "product 43",
        "stock Place(row=3, day=datetime.date(2026, 1, 2)) UUID('00000000-0000-0000-0000-000000000007') "
        "<Colour.RED: 'red'> 0.5",
    ]
    assert lines[-1] not in {line.split()[0] for line in shop.lines("computed")}, "the application computed nothing"


def test_a_worker_never_reads_its_own_warm_value_through_the_wrapper(shop):
    shop.worker(module="shop")
    printed = shop.python(
        """
        from shop import product
        for _ in range(3):
            print(product.warm(1, force=True).wait(30).result)
        """
    )
    assert printed.split() == ["published"] * 3
    assert computed(shop).count("product 1") == 3


def test_critical_functions_are_kept_warm_once_their_module_is_imported(shop, eventually):
    shop.scheduler()
    shop.worker(module="shop")
    shop.python("import warmer; warmer.start_cache_warming()")
    eventually(lambda: "catalog" in computed(shop), 30)
    printed = shop.python(
        """
        import warmer
        from shop import catalog
        print(catalog.get()[1].id, catalog()[1].price)
        print(warmer.get("catalog")[1].id)
        """
    )
    assert printed.split() == ["1", "9.90", "1"]
    assert computed(shop).count("catalog") == 1
    assert computed(shop).count("product 1") == 1, "functions that others call read through the cache in workers, too"


def test_a_process_that_does_not_know_the_task_reads_what_json_holds_and_misses_the_rest(shop):
    shop.python("from shop import product, catalog; product(1); import warmer; warmer.set('plain', {'a': [1]})")
    printed = shop.python(
        "import warmer; print(warmer.get('product:1', 'unknown'), warmer.get_many(['product:1', 'plain']))"
    )
    assert printed.strip() == "unknown {'plain': {'a': [1]}}"


def test_functions_in_the_started_script_read_through_the_cache_and_that_is_all(shop):
    script = """
        import logging, time
        logging.basicConfig(format="%(levelname)s %(message)s")
        import warmer
        from warmer import NotImportableError, warmed

        @warmed("double:{n}", ttl=600)
        def double(n: int) -> int:
            print("computing")
            return 2 * n

        print(double(21), double(21), double.get(21), warmer.get("double:21"))
        try:
            double.warm(21)
        except NotImportableError:
            print("no worker could import it")
        time.sleep(0.7)  # some beats
    """
    shop.write("script", script)

    done = subprocess.run(
        [sys.executable, "script.py"], env=shop.environment, cwd=shop.folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "computing",
        "42 42 42 42",
        "no worker could import it",
    ]
    assert done.stderr.count("WARNING") == 1
    assert "__main__.double is not kept warm" in done.stderr
    assert "workers cannot import" in done.stderr


def test_functions_can_be_sent_to_other_processes(shop):
    printed = shop.python(
        """
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        from shop import product

        if __name__ == "__main__":
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(2, mp_context=context) as pool:
                print([one.id for one in pool.map(product, [1, 2, 3])])
        """
    )
    assert printed.strip() == "[1, 2, 3]"
    assert computed(shop) == ["product 1", "product 2", "product 3"]


def test_readers_in_many_processes_share_what_one_has_computed(shop):
    for _ in range(3):
        assert shop.python("from shop import product; print(product(5).id)").strip() == "5"
    assert computed(shop) == ["product 5"]
