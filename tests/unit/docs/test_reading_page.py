"""docs/reading.md agrees with the code: its options and their defaults, its examples, and the paths it names."""

import re
from pathlib import Path
from types import ModuleType

import pytest
from pydantic_core import PydanticUndefined

import warmer
from warmer import Settings, WarmingTask
from warmer.client import default
from warmer.testing import MemoryWarmer

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reading.md").read_text()
OPTIONS_SECTION = PAGE.partition("## Options")[2].partition("\n## ")[0]
OPTIONS = dict(re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", OPTIONS_SECTION, re.MULTILINE))
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_every_option_of_reading_is_in_the_table():
    of_warming = {"task_id", "name", "cache_key", "compute_fn", "tags", "priority", "cron", "timezone", "enabled"}
    of_workers = {"critical", "limit", "isolation", "batch_wait_s"}
    of_budgets = {"extra_compute", "target_hit_ratio", "budget_s_per_minute"}
    assert set(WarmingTask.model_fields) - of_warming - of_workers - of_budgets <= set(OPTIONS)


@pytest.mark.parametrize("option", OPTIONS)
def test_the_defaults_are_those_of_the_code(option):
    default = WarmingTask.model_fields[option].default
    setting = re.fullmatch(r"`WARMER_(\w+)` \(([\d.]+)( MiB)?\)", OPTIONS[option])
    if setting:
        name, number, unit = setting.groups()
        assert default is None
        assert float(number) * (2**20 if unit else 1) == Settings.model_fields[name.lower()].default
    elif default is None or default is PydanticUndefined:  # or of a factory
        assert OPTIONS[option] in ("none", "the ttl")
    else:
        assert OPTIONS[option] == (f'`"{default}"`' if isinstance(default, str) else f"{default:g}")


def test_the_first_example_runs_as_it_says(monkeypatch):
    monkeypatch.setattr(default, "_declared", {})  # by other examples, in this process
    with MemoryWarmer().as_default() as memory:
        calls = [line for line in SNIPPETS[0].splitlines() if line.startswith("product")]
        declared = SNIPPETS[0].split(calls[0])[0]
        scope = {"load_from_database": lambda product_id: {"id": str(product_id)}}
        exec(declared, scope)
        assert eval(calls[0], scope) == {"id": "42"}
        assert eval(calls[1], scope) == {"id": "42"}
        assert eval(calls[2], scope) == [{"id": "1"}, {"id": "2"}, {"id": "3"}]
        assert eval(calls[3], scope) == {"id": "42"}
        handle = eval(calls[4].replace(".wait()", ""), scope)
        memory.drain()
        assert handle.wait().success
        exec(calls[5], scope)
        assert eval("product.get(42)", scope) is None
        assert eval(calls[6], scope) == "product:42"


def test_the_example_of_a_test_passes(monkeypatch):
    shop = ModuleType("shop")

    @warmer.warmed("product:{product_id}", ttl=60, stale_ttl=30)
    def product(product_id):
        return shop.fetch(product_id)

    shop.fetch, shop.product = lambda product_id: {}, product
    (example,) = (text for text in SNIPPETS if "def test_" in text)
    scope = {"shop": shop}
    exec(example, scope)
    with MemoryWarmer().as_default() as memory:
        scope["test_a_stale_price_is_refreshed"](memory, memory.clock, monkeypatch)


def test_what_it_names_is_there():
    named = re.findall(r"(?:tests|benchmarks)/[\w/.]+", PAGE)
    assert named
    for path in named:
        assert (ROOT / path).exists(), path
