"""The glossary names each term once, and each place in the code that it names exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (?!term|---)(.+?) \| (.+?) \| `(.+?): (\w+)` \|$", PAGE, re.MULTILINE)


def test_every_row_says_where_its_term_is_defined():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(("| term", "| ---"))]
    assert len(ROWS) == len(rows) > 40


def test_every_term_stands_once():
    terms = [term for row in ROWS for term in row[0].split(", ")]
    assert sorted(terms) == sorted(set(terms))


@pytest.mark.parametrize(("term", "path", "name"), [(term, path, name) for term, _, path, name in ROWS])
def test_the_code_defines_the_term_where_the_glossary_says(term, path, name):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in names_defined_in(tree), f"{term}: {path} does not define {name}"


def names_defined_in(tree: ast.Module) -> set[str]:
    names = {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names
