"""What type checkers see of warmed functions: their own parameters and what they return."""

import re
from pathlib import Path

import pytest
from mypy import api

ROOT = Path(__file__).parents[3]

USES = """
from dataclasses import dataclass

from warmer import WarmingTask, get, get_many, warmed


@dataclass
class Product:
    id: int


@warmed("product:{product_id}:{shop}", ttl=600, priority=50, tags={"catalog", "product:{product_id}"})
def product(product_id: int, shop: str = "north") -> Product:
    return Product(product_id)


@warmed("stock:{product_id}", cache_errors={KeyError: 30}, after_wait="stale")
async def stock(product_id: int) -> list[int]:
    return [product_id]


def load(product_id: int) -> Product:
    return Product(product_id)


async def use() -> None:
    reveal_type(product)
    reveal_type(stock)
    reveal_type(product(42, shop="south"))
    reveal_type(await stock(42))
    reveal_type(product.many([1, 2]))
    reveal_type(await stock.many([1, 2]))
    reveal_type(product.refresh(1))
    reveal_type(await stock.refresh(1))
    reveal_type(product.key(1, "north"))
    reveal_type(stock.key(1))
    reveal_type(product.warm(1).wait().success)
    reveal_type((await (await stock.warm(1))).success)
    without_decorator = warmed(WarmingTask(task_id="p", cache_key="p:{product_id}", compute_fn=load))
    reveal_type(without_decorator(product_id=42))
    reveal_type(without_decorator.key(42))
"""

REVEALED = """
warmer.client.warmed_function.Warmed[[product_id: int, shop: str =], use.Product]
warmer.client.warmed_function.AsyncWarmed[[product_id: int], list[int]]
use.Product
list[int]
list[use.Product]
list[list[int]]
use.Product
list[int]
str
str
bool
bool
Any
str
"""

MISUSES = """
from warmer import warmed


@warmed("product:{product_id}", ttl=600)
def product(product_id: int) -> str:
    return ""


@warmed("stock:{product_id}")
async def stock(product_id: int) -> int:
    return 1


product("42")  # E: incompatible type "str"; expected "int"
product(42, shop="north")  # E: Unexpected keyword argument "shop"
product()  # E: Missing positional argument "product_id"
product.refresh("42")  # E: incompatible type "str"; expected "int"
product.key(id=42)  # E: Unexpected keyword argument "id"
number: int = product(42)  # E: expression has type "str", variable has type "int"
text: str = stock(42)  # E: expression has type "Coroutine[Any, Any, int]"
warmed("product", tll=600)  # E: No overload variant
warmed("product", ttl="ten minutes")  # E: No overload variant
warmed(product)  # E: No overload variant
"""


@pytest.fixture
def checked(tmp_path):
    def check(source: str, config_file: Path = ROOT / "pyproject.toml") -> list[str]:
        module = tmp_path / "use.py"
        module.write_text(source)
        said, complaints, _ = api.run(
            [
                "--strict",
                "--config-file",
                str(config_file),
                "--no-error-summary",
                "--hide-error-context",
                "--no-pretty",
                "--follow-imports",
                "silent",
                str(module),
            ]
        )
        assert complaints == ""
        return [line for line in said.splitlines() if "use.py" in line]

    return check


def test_warmed_functions_keep_their_parameters_and_what_they_return(checked):
    said = checked(USES)
    assert [line for line in said if "error" in line] == []
    revealed = [re.sub(r".*Revealed type is ['\"](.*)['\"]$", r"\1", line) for line in said]
    revealed = [line.replace("builtins.", "").replace(" = ...", " =") for line in revealed]
    assert revealed == REVEALED.split("\n")[1:-1]


def test_what_does_not_fit_is_told_before_it_runs(checked):
    said = checked(MISUSES)
    expected = {
        number: line.partition("# E: ")[2] for number, line in enumerate(MISUSES.splitlines(), 1) if "# E: " in line
    }
    told = {int(line.split(":")[1]): line for line in said if ": error: " in line}
    assert told.keys() == expected.keys()
    for number, words in expected.items():
        assert words in told[number]


TASKS = """
from warmer import WarmingTask


def load(product_id: int) -> str:
    return ""


WarmingTask(task_id="product", cache_key="product:{product_id}", compute_fn=load)
WarmingTask(task_id="catalog", cache_key="catalog", compute_fn="shop:load", ttl=60, priority=50, cron="0 6 * * *")
WarmingTask(task_id="catalog", cache_key="catalog")  # E: Missing named argument "compute_fn"
WarmingTask(task_id="catalog", cache_key="catalog", compute_fn=load, ttl="soon")  # E: incompatible type "str"
"""


def test_tasks_are_checked_without_pydantic_s_plugin_as_well(checked, tmp_path):
    without_plugin = tmp_path / "mypy.ini"
    without_plugin.write_text("[mypy]\n")
    said = {int(line.split(":")[1]): line for line in checked(TASKS, without_plugin) if ": error: " in line}
    expected = {number: line for number, line in enumerate(TASKS.splitlines(), 1) if "# E: " in line}
    assert said.keys() == expected.keys()
    for number, line in expected.items():
        assert line.partition("# E: ")[2] in said[number]
