"""The lock pins everything by hash, and says nothing about where it was made."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOCK = (ROOT / "requirements.lock").read_text()
ADDRESS = re.compile(r"://|file:|\s@\s|^-", re.MULTILINE)


def requirements() -> list[str]:
    """Return each requirement of the lock with the lines that continue it."""
    return re.findall(r"^[a-z].*(?:\n {4}--hash.*)*", LOCK, re.MULTILINE)


def test_each_requirement_has_an_exact_version_and_a_hash() -> None:
    assert requirements()
    for requirement in requirements():
        name, *hashes = requirement.splitlines()
        assert re.match(r"[a-z0-9._-]+==\S+", name), name
        assert hashes, f"{name} has no hash"
        assert all("--hash=sha256:" in line for line in hashes), name


def test_the_lock_names_the_build_tools_that_source_packages_need() -> None:
    names = {re.split(r"[=\[]", requirement)[0] for requirement in requirements()}
    assert {"editables", "hatchling", "packaging", "setuptools", "wheel"} <= names


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_no_address_of_a_registry_or_a_machine_slips_in(name: str) -> None:
    assert not ADDRESS.search((ROOT / name).read_text())
