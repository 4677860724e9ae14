"""README.md: every promise of its table names a command that exists and checks something."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
HEADING = "## Promises, and the commands that check them"


def claims() -> list[tuple[str, list[str]]]:
    """Return each promise of the table with its commands."""
    section = README.partition(HEADING)[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", section, re.MULTILINE)[1:]
    return [(promise, re.findall(r"`([^`]+)`", shown_by)) for promise, shown_by in rows if not promise.startswith("-")]


COMMANDS = sorted({command for _, commands in claims() for command in commands})
PYTEST_COMMANDS = [command for command in COMMANDS if command.startswith("pytest ")]
BENCHMARK_COMMANDS = [command for command in COMMANDS if command.startswith("python ")]


def test_every_promise_names_a_benchmark_or_a_test():
    assert len(claims()) > 20
    for promise, commands in claims():
        assert commands, promise
    assert sorted(PYTEST_COMMANDS + BENCHMARK_COMMANDS) == COMMANDS


def test_every_benchmark_shows_a_promise():
    shown = {shlex.split(command)[1] for command in BENCHMARK_COMMANDS}
    assert shown == {f"benchmarks/{file.name}" for file in (ROOT / "benchmarks").glob("*.py")}


@pytest.mark.parametrize("command", BENCHMARK_COMMANDS)
def test_each_benchmark_exists_and_takes_the_options_that_are_named(command):
    _, file, *options = shlex.split(command)
    said = subprocess.run([sys.executable, ROOT / file, "--help"], capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stderr
    for option in options:
        if option.startswith("-"):
            assert re.search(rf"(?m)(^|\s){re.escape(option)}\b", said.stdout), option


@pytest.mark.parametrize("command", PYTEST_COMMANDS)
def test_each_pytest_command_selects_tests(command):
    arguments = shlex.split(command)[1:]
    paths = arguments[: arguments.index("-k")] if "-k" in arguments else arguments
    found = collected(arguments)
    assert found
    for path in paths:
        assert (ROOT / path).exists(), path
        assert any(test.startswith(path) for test in found), f"selects nothing of {path}"


def collected(arguments: list[str]) -> list[str]:
    """Return the tests that pytest would run, by their ids."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *arguments]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert said.returncode == 0, said.stdout + said.stderr
    return [line for line in said.stdout.splitlines() if "::" in line]
