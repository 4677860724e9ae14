"""The listing shows the design: small rooms, one word for one thing, and a first sentence in every file."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = (ROOT / "warmer", ROOT / "workers" / "warmer_workers", ROOT / "scheduler" / "warmer_scheduler")
FILES = sorted(path for package in PACKAGES for path in package.rglob("*.py"))
SAME_MEANING = {"__init__", "__main__", "main"}
"""File names that mean the same wherever they stand: a package, and the entry point of a process."""

MAX_FLAT_FILES = 10
MAX_FILES_IN_A_FOLDER = 16


def test_the_library_shows_rooms_rather_than_files():
    assert len(list((ROOT / "warmer").glob("*.py"))) <= MAX_FLAT_FILES


def test_no_folder_is_too_wide():
    modules = defaultdict(list)
    for path in FILES:
        if path.stem != "__init__":
            modules[path.parent].append(path.name)
    assert {str(folder): names for folder, names in modules.items() if len(names) > MAX_FILES_IN_A_FOLDER} == {}


def test_no_class_name_has_two_meanings():
    places = defaultdict(list)
    for path in FILES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def test_no_file_name_has_two_meanings():
    places = defaultdict(list)
    for path in FILES:
        if path.stem not in SAME_MEANING:
            places[path.stem].append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def test_every_file_says_in_its_first_sentence_what_it_is():
    silent = [str(path) for path in FILES if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert silent == []
