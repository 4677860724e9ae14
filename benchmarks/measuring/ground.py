"""What a run of the warming side ran on; the libraries that only readers use are left out."""

from importlib.metadata import PackageNotFoundError, version

from measuring.environment import surroundings
from warmer.processes.private_server import PrivateServer


def ground(server: PrivateServer, *libraries: str) -> dict[str, str]:
    """Return what a run ran on, by name."""
    found = surroundings(server)
    return {name: found[name] for name in ("server", "python", "cores")} | {name: _version(name) for name in libraries}


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def as_line(found: dict[str, str]) -> str:
    """Return it as one line of text."""
    server, python, cores, *_ = found.values()
    libraries = ", ".join(f"{name} {release}" for name, release in list(found.items())[3:])
    return f"{server} on the loopback interface, Python {python}, {cores} cores; {libraries}"
