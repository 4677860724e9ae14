"""What a run ran on: server, Python and libraries; printed with its figures, because they mean nothing without."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version

from warmer.processes.private_server import PrivateServer

LIBRARIES = ("redis", "orjson", "cashews", "dogpile.cache", "aiocache", "django", "django-redis")


def surroundings(server: PrivateServer) -> dict[str, str]:
    """Return what a run ran on, by name."""
    said = subprocess.run([server.binary, "--version"], capture_output=True, text=True, check=True).stdout
    return {
        "server": f"{server.binary.name} {said.partition('v=')[2].partition(' ')[0]}",
        "python": platform.python_version(),
        "cores": str(os.cpu_count()),
        **{library: _version(library) for library in LIBRARIES},
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def in_one_line(found: dict[str, str]) -> str:
    """Return the surroundings as one line of text."""
    server, python, cores = found["server"], found["python"], found["cores"]
    libraries = ", ".join(f"{name} {found[name]}" for name in LIBRARIES)
    return f"{server} on the loopback interface, Python {python}, {cores} cores; {libraries}"
