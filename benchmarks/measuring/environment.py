"""The environment of a run: server, Python and libraries; figures mean nothing without it."""

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from warmer.processes.private_server import find_server_binary

BASICS = ("server", "python", "cores")


def environment(*libraries: str, has_server: bool = True) -> dict[str, str]:
    """Return the environment of this run, by name.

    Args:
        libraries: Their versions are part of it.
        has_server: Whether the benchmark uses a server.
    """
    return {
        "server": _server() if has_server else "",
        "python": platform.python_version(),
        "cores": str(os.cpu_count()),
        **{library: _version(library) for library in libraries},
    }


def _server() -> str:
    binary = find_server_binary()
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True, timeout=10).stdout
    return f"{binary.name} {said.partition('v=')[2].partition(' ')[0]}"


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def as_line(found: Mapping[str, str]) -> str:
    """Return the environment as one line of text."""
    server = [f"{found['server']} on the loopback interface"] if found["server"] else []
    basics = ", ".join([*server, f"Python {found['python']}", f"{found['cores']} cores"])
    libraries = ", ".join(f"{name} {release}" for name, release in found.items() if name not in BASICS)
    return f"{basics}; {libraries}" if libraries else basics
