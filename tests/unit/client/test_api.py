"""The public interface stands as text in api.txt beside this file, so that every change to it is seen in review."""

import ast
import difflib
import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

API = Path(__file__).with_name("api.txt")
MODULES = ("warmer", "warmer.results", "warmer.planning", "warmer.testing")
SPECIAL_METHODS = ("__init__", "__call__", "__await__", "__getitem__", "__contains__", "__iter__", "__len__")
WRITE_AGAIN = "If the change is wanted: python tests/unit/client/test_api.py"


def test_the_public_interface_is_the_one_that_was_reviewed():
    difference = "\n".join(
        difflib.unified_diff(
            API.read_text().splitlines(), described().splitlines(), "reviewed", "now", lineterm="", n=1
        )
    )
    assert not difference, f"the public interface has changed:\n{difference}\n{WRITE_AGAIN}"


def described() -> str:
    """The interface: every public name, each with its signature, its fields and its public methods."""
    modules = [importlib.import_module(name) for name in MODULES]
    listed = {getattr(module, name) for module in modules for name in module.__all__}
    return "\n".join(line for module in modules for line in module_lines(module, listed)) + "\n"


def module_lines(module: ModuleType, listed: set[Any]) -> Iterator[str]:
    yield f"# {module.__name__}"
    for name in sorted(module.__all__):
        public = getattr(module, name)
        yield from class_lines(public, listed) if inspect.isclass(public) else function_lines(public)
    yield ""


def function_lines(function: Any) -> Iterator[str]:
    written = inspect.unwrap(getattr(function, "_fixture_function", function))
    for node in ast.walk(ast.parse(inspect.getsource(inspect.getmodule(written)))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == written.__name__:
            yield definition(node)


def class_lines(of: type, listed: set[Any]) -> Iterator[str]:
    """A class with what it has of its own, and of bases that are not public themselves."""
    bases = ", ".join(base.__name__ for base in of.__bases__ if base is not object)
    yield f"class {of.__name__}({bases})" if bases else f"class {of.__name__}"
    inherited = {known for base in of.__mro__[1:] if base in listed for known in base.__mro__}
    fields, methods = {}, {}
    for owner in reversed([base for base in of.__mro__ if base.__module__.startswith("warmer")]):
        for node in [] if owner in inherited else class_body(owner):
            if isinstance(node, ast.AnnAssign) and is_public(ast.unparse(node.target)):
                fields[ast.unparse(node.target)] = without_description(node)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and is_public(node.name):
                methods.setdefault(node.name, []).append(definition(node))
                fields.update({name: f"{name} (set by __init__)" for name in attributes_set_by(node)})
    yield from (f"    {line}" for line in fields.values())
    yield from (f"    {line}" for name in sorted(methods) for line in methods[name])


def attributes_set_by(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    if node.name == "__init__":
        targets = (target for statement in ast.walk(node) if isinstance(statement, ast.Assign | ast.AnnAssign)
                   for target in getattr(statement, "targets", None) or [statement.target])  # fmt: skip
        for target in targets:
            if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self" and is_public(target.attr):
                yield target.attr


def class_body(of: type) -> list[ast.stmt]:
    tree = ast.parse(inspect.getsource(sys.modules[of.__module__]))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == of.__name__]
    return found[0].body if found else []


def is_public(name: str) -> bool:
    return not name.startswith("_") or name in SPECIAL_METHODS


def definition(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    marks = {
        "property": "property",
        "cached_property": "property",
        "classmethod": "classmethod",
        "overload": "overload",
    }
    decorators = "".join(f"{marks[text]} " for text in map(ast.unparse, node.decorator_list) if text in marks)
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{decorators}{word} {node.name}({ast.unparse(node.args)}){returns}"


def without_description(node: ast.AnnAssign) -> str:
    if isinstance(node.value, ast.Call):
        node.value.keywords = [keyword for keyword in node.value.keywords if keyword.arg != "description"]
    return ast.unparse(node)


if __name__ == "__main__":
    API.write_text(described())
