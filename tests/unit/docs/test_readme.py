"""README.md: its examples run."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import warmer

README = (Path(__file__).parents[3] / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


class Product(BaseModel):
    id: int


@pytest.fixture
def scope(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The names that the page leaves to its reader, in a process that warms by itself."""
    monkeypatch.delenv("WARMER_REDIS_URL", raising=False)
    monkeypatch.setenv("WARMER_EMBEDDED", "1")
    monkeypatch.setattr(warmer.client.default, "_declared", {})  # by other examples, in this process
    warmer.configure()
    yield {
        **vars(warmer),
        "__name__": "shop_of_the_readme",
        "Product": Product,
        "load_product": lambda product_id: Product(id=product_id),
        "ids_from_the_database": lambda: iter(range(3)),
        "count_in_one_query": lambda product_ids: dict.fromkeys(product_ids, 7),
    }
    warmer.default_warmer().close()


def run(words: str, scope: dict[str, Any]) -> None:
    (snippet,) = (text for text in SNIPPETS if words in text)
    exec(snippet, scope)


def test_the_first_example_reads_a_value_that_is_warm(
    scope: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run("register_critical_task", scope)
    assert capsys.readouterr().out == "[{'name': 'tea', 'price': 3}]\n"


def test_a_decorated_function_reads_through_the_cache(scope: dict[str, Any]) -> None:
    run("warm_many", scope)
    assert scope["product"].get(42) == Product(id=42)


def test_a_batch_function_computes_many_values(scope: dict[str, Any]) -> None:
    run("Limit(", scope)
    assert scope["stock"].many([1, 2]) == [7, 7]
