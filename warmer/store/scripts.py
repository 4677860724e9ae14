"""Loads the Lua scripts; each file's header is its contract."""

import re
from functools import cache
from importlib.resources import files
from typing import Any

from redis import Redis
from redis.commands.core import Script

_INCLUDE = re.compile(r"^-- @include (\w+)$", re.MULTILINE)


@cache
def source(name: str) -> str:
    """Return a script's text, with the shared parts it names in ``-- @include`` lines put in.

    Args:
        name: The file's name in ``lua/``, without its ending.

    Raises:
        FileNotFoundError: there is no such script.

    Example:
        >>> "ZADD" in source("claim")
        True
    """
    folder = files("warmer.store") / "lua"
    text = (folder / f"{name}.lua").read_text(encoding="utf-8")
    return _INCLUDE.sub(lambda found: (folder / "includes" / f"{found[1]}.lua").read_text(encoding="utf-8"), text)


class Scripts:
    """Runs scripts by name over one client.

    Args:
        client: The client that sends them.
    """

    def __init__(self, client: "Redis") -> None:
        """Prepare for this client; nothing is sent yet."""
        self._client = client
        self._loaded: dict[str, Script] = {}

    def run(self, name: str, keys: list[str], *arguments: str | bytes | int | float) -> Any:
        """Run one script and return its answer as Redis gives it.

        Args:
            name: The script's name.
            keys: Its keys, in the order of its header.
            *arguments: Its arguments, in the order of its header.
        """
        script = self._loaded.get(name)
        if script is None:
            script = self._loaded[name] = self._client.register_script(source(name))
        return script(keys=keys, args=list(arguments))
