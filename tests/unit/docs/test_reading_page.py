"""docs/reading.md says what is so: its options, its first example, and the commands it names."""

import re
from pathlib import Path

import pytest

from warmer import WarmingTask
from warmer.client import default
from warmer.testing import MemoryWarmer

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reading.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_every_option_of_reading_is_in_the_table():
    described = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    of_warming = {"task_id", "name", "cache_key", "compute_fn", "tags", "priority", "cron", "timezone", "enabled"}
    of_workers = {"critical", "limit", "isolation", "batch_wait_s"}
    of_the_price = {"extra_compute", "target_hit_ratio", "budget_s_per_minute"}
    assert set(WarmingTask.model_fields) - of_warming - of_workers - of_the_price <= described


@pytest.mark.parametrize(
    ("option", "default"),
    [("stale_ttl", 0.0), ("refresh_ahead", 0.0), ("jitter", 0.05), ("after_wait", "compute"), ("timeout_s", 60.0)],
)
def test_the_defaults_are_those_of_the_code(option, default):
    (said,) = re.findall(rf'^\| `{option}` \| `?"?([\w.]+)"?`?[:,]', PAGE, re.MULTILINE)
    assert WarmingTask.model_fields[option].default == default
    assert said == (default if isinstance(default, str) else f"{default:g}")


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


def test_what_it_names_is_there():
    named = re.findall(r"(?:tests|benchmarks)/[\w/.]+", PAGE)
    assert named
    for path in named:
        assert (ROOT / path).exists(), path
