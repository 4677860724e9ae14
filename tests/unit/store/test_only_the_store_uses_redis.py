"""Only `warmer.store` sends commands to the control server, and knows the names of its keys."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
STORE = ROOT / "warmer" / "store"
PACKAGES = ("warmer", "workers", "scheduler", "examples")
FILES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py") if STORE not in path.parents)

FOR_THE_STORE_ALONE = {"warmer.store.keys", "warmer.store.scripts"}
OF_THE_STORE = {"control", "keys"}
"""Attributes of a store that no other package may read."""


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def attributes_of_a_store(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in OF_THE_STORE:
            owner = ast.unparse(node.value)
            if owner.endswith("store") or owner.endswith("store_of(warmer)"):
                yield f"{owner}.{node.attr}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_other_package_sees_the_control_server_or_names_of_keys(path):
    tree = ast.parse(path.read_text())
    assert not FOR_THE_STORE_ALONE & set(imports(tree))
    assert not list(attributes_of_a_store(tree))


def test_a_leak_is_found():
    leak = ast.parse("from warmer.store.keys import Keys\nself._store.control.get(runtime.store.keys.switch)")
    assert FOR_THE_STORE_ALONE & set(imports(leak))
    assert set(attributes_of_a_store(leak)) == {"self._store.control", "runtime.store.keys"}
