"""Every page uses names that exist: settings, commands and their options, public functions, paths, tests and links."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click import Command

import warmer
from tests.support.command import COMMAND
from warmer import Settings

ROOT = Path(__file__).parents[3]
PATHS = [ROOT / "README.md", ROOT / "examples" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in PATHS}
README = PAGES["README.md"]
SOURCES = "\n".join(
    path.read_text()
    for package in ("warmer", "workers/warmer_workers", "scheduler/warmer_scheduler")
    for path in (ROOT / package).rglob("*.py")
)
EVERYTHING = "\n".join(PAGES.values())

ONLY_IN_COMPOSE = {"import"}
OF_OTHER_PROGRAMS = {"--preload", "--scale"}
every_page = pytest.mark.parametrize("page", PAGES)


def table_under(heading: str) -> str:
    return README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def first_column(heading: str) -> set[str]:
    cells = re.findall(r"^\| (.+?) \| .+ \|$", table_under(heading), re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


# --- settings ----------------------------------------------------------------------------------------------------
@every_page
def test_each_variable_is_a_setting(page: str) -> None:
    named = {name.lower() for name in re.findall(r"WARMER_([A-Z_]*[A-Z])", PAGES[page])}
    assert named <= {*Settings.model_fields, *ONLY_IN_COMPOSE}


# --- commands ----------------------------------------------------------------------------------------------------
def commands_on(text: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each command that stands in code, and its options, up to the comment or the end of the line."""
    for line in [*re.findall(r"`([^`\n]+)`", text), *re.findall(r"^    (.+)$", text, re.MULTILINE)]:
        code = line.partition("  #")[0].partition(" -- ")[0]
        found = re.search(r"(?:^|\| |&& |worker )warmer ([a-z]+)\b(?! \d)(.*)", code)
        if found and "`" not in code and "│" not in code:
            yield found[1], set(re.findall(r" (--[a-z-]+)", found[2]))


def options_of(command: Command) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


@every_page
def test_each_command_and_its_options_exist(page: str) -> None:
    for name, options in commands_on(PAGES[page]):
        assert name in COMMAND.commands
        assert options <= options_of(COMMAND.commands[name])


def test_pages_show_commands_with_options() -> None:
    found = list(commands_on(EVERYTHING))
    assert ("worker", {"--import"}) in found
    assert ("simulate", {"--ttl"}) in found


@every_page
def test_each_option_in_a_sentence_exists(page: str) -> None:
    named = set(re.findall(r"`(--[a-z-]+)[^`]*`", PAGES[page]))
    assert named - OF_OTHER_PROGRAMS <= set().union(*map(options_of, COMMAND.commands.values()))


def test_the_readme_lists_every_command() -> None:
    listed = {name.split()[1] for name in first_column("Commands")}
    assert listed == set(COMMAND.commands)


# --- what a program prints ---------------------------------------------------------------------------------------
@every_page
def test_each_quoted_log_line_is_logged(page: str) -> None:
    quoted = re.findall(r"\blogs (?:\w+` )?says? \"([^\"]+)\"|logs \w+ \| grep \"([^\"]+)\"", PAGES[page])
    for text in map("".join, quoted):
        assert text in SOURCES, text


# --- functions -----------------------------------------------------------------------------------------------------
def test_the_readme_lists_every_public_name() -> None:
    listed = first_column("Functions")
    errors = {name for name in warmer.__all__ if name.endswith("Error")} - {"WarmerError"}
    results = {"Warmed", "AsyncWarmed", "WarmingTask"}
    assert listed == set(warmer.__all__) - errors - results
    assert results <= set(re.findall(r"`(\w+)`", table_under("Functions")))


@every_page
def test_each_name_that_a_snippet_imports_is_public(page: str) -> None:
    for names in re.findall(r"^from warmer import (?:\(([^)]+)\)|(.+))$", PAGES[page], re.MULTILINE):
        assert {name.strip() for name in "".join(names).split(",") if name.strip()} <= set(warmer.__all__)
    assert set(re.findall(r"\bwarmer\.([a-z_]+)\(", PAGES[page])) <= set(warmer.__all__)


# --- paths, tests and links ------------------------------------------------------------------------------------
@every_page
def test_each_path_exists(page: str) -> None:
    for path in re.findall(r"\b(?:tests|benchmarks|warmer|examples)/[\w/.]+\b", PAGES[page]):
        assert (ROOT / path).exists(), path


@every_page
def test_each_selection_of_tests_finds_one(page: str) -> None:
    for paths, word in re.findall(r"`pytest ((?:tests/[\w/.]+\s)+)-k (\w+)`", PAGES[page]):
        files = [
            file
            for path in paths.split()
            for file in ([ROOT / path] if path.endswith(".py") else (ROOT / path).rglob("*.py"))
        ]
        assert any(re.search(rf"def test_\w*{word}|def \w*{word}\w*\(", file.read_text()) for file in files), word


@every_page
def test_each_link_leads_to_a_page_and_a_heading(page: str) -> None:
    folder = (ROOT / page).parent
    for place, heading in re.findall(
        r"\]\((?!https?:)([\w./-]*)(?:#([\w-]+))?\)", re.sub(r"```.*?```", "", PAGES[page], flags=re.DOTALL)
    ):
        target = folder / place if place else ROOT / page
        assert target.exists(), place
        assert not heading or heading in headings_of(target), heading


def headings_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    lines = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in lines}
