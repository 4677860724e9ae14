"""docs/architecture.md names every room, and shows the direction of their imports as the linter checks it."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGES = ("warmer", "workers/warmer_workers", "scheduler/warmer_scheduler")
DRAWING = re.findall(r"^ {3}│(.*)│$", PAGE, re.MULTILINE)
ROOMS = re.findall(r"^\| `([\w/]+)` \| (.+?) \|$", PAGE, re.MULTILINE)


def linted_layers() -> list[set[str]]:
    """Return the layers of the library as the linter has them, the highest first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = (contract["layers"] for contract in contracts if contract.get("exhaustive"))
    return [set(re.findall(r"\w+", layer)) - {"__main__"} for layer in layers if layer != "__main__"]


def drawn_layers(known: set[str]) -> list[set[str]]:
    """Return the layers of the drawing: of each line the names that stand before its explanation."""
    lines = [re.split(r" {4,}(?=\S+ \S)", line.strip(" │"))[0] for line in DRAWING]
    return [names for line in lines if (names := set(re.findall(r"\w+", line)) & known)]


def test_every_folder_of_code_is_a_room_of_the_page_and_the_other_way_round():
    folders = {
        path.parent.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.parent != ROOT / "warmer"
    }
    assert {room for room, _ in ROOMS} == folders


def test_every_room_is_explained_in_one_sentence():
    for room, subject in ROOMS:
        assert subject.endswith("."), room
        assert ". " not in subject, room


def test_the_drawing_has_the_layers_of_the_linter():
    layers = linted_layers()
    assert drawn_layers(set().union(*layers)) == layers


def test_every_file_that_is_named_exists():
    named = re.findall(r"`([\w/]+\.py)`", PAGE)
    assert named
    assert [name for name in named if not ((ROOT / name).exists() or (ROOT / "warmer" / name).exists())] == []
