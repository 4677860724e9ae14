"""Loads the Lua scripts and runs them by name; each file's header is its contract, and is executed.

These lines of a header become the script's local variables, so that neither side counts positions::

    -- @keys ready claims         names of `Keys`, or of keys that the caller passes by name
    -- @prefixes stats            names of `Keys` that begin a family of keys
    -- @args token limit:number   what the caller passes, in this order
    -- @rest refs                 whatever else it passes, as a list
    -- @include ready             shared functions, from includes/
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from warmer.store.keys import Keys

_DIRECTIVE = re.compile(r"^-- @(keys|prefixes|args|rest|include) (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Source:
    """One script, ready to be sent.

    Args:
        text: Its Lua.
        keys: Names of its keys.
        prefixes: Names of its prefixes, which are passed first.
        arguments: Names of its arguments, which are passed next.
        takes_rest: Whether it takes any number of further arguments.
    """

    text: str
    keys: tuple[str, ...]
    prefixes: tuple[str, ...]
    arguments: tuple[str, ...]
    takes_rest: bool


@cache
def source(name: str) -> Source:
    """Return a script by name.

    Args:
        name: The file's name in ``lua/``, without its ending.

    Raises:
        FileNotFoundError: there is no such script.

    Example:
        >>> source("give_back").arguments
        ('ref', 'token')
    """
    text = _file(f"{name}.lua")
    named = {kind: tuple(words.split()) for kind, words in _DIRECTIVE.findall(text) if kind != "include"}
    prefixes, arguments = named.get("prefixes", ()), named.get("args", ())

    def local_variables(found: re.Match[str]) -> str:
        kind, words = found[1], found[2].split()
        if kind == "include":
            return _file(f"includes/{found[2]}.lua")
        if kind == "rest":
            return _list_variable(words[0], len(prefixes) + len(arguments) + 1)
        first = 1 + (len(prefixes) if kind == "args" else 0)
        return _variables(words, "KEYS" if kind == "keys" else "ARGV", first)

    return Source(
        _DIRECTIVE.sub(local_variables, text),
        named.get("keys", ()),
        prefixes,
        tuple(argument.partition(":")[0] for argument in arguments),
        "rest" in named,
    )


class Scripts:
    """Runs scripts over one client.

    Args:
        client: The client that sends them.
        keys: Resolves the names of keys.
    """

    def __init__(self, client: Any, keys: Keys) -> None:
        """Prepare; nothing is sent yet."""
        self._client = client
        self._keys = keys
        self._registered: dict[str, Any] = {}

    def run(self, name: str, *arguments: str | bytes | int | float, **named_keys: str) -> Any:
        """Run a script and return its answer as Redis gives it.

        Args:
            name: The script's name.
            *arguments: Its arguments, in the order of its header.
            **named_keys: Those of its keys that are not fixed names of the namespace.

        Raises:
            TypeError: the number of arguments is not the header's.
            redis.RedisError: Redis did not answer, or refused.
        """
        script = source(name)
        enough = (
            len(arguments) >= len(script.arguments) if script.takes_rest else len(arguments) == len(script.arguments)
        )
        if not enough:
            raise TypeError(f"script {name} takes {script.arguments}, got {len(arguments)} arguments")
        if name not in self._registered:
            self._registered[name] = self._client.register_script(script.text)
        return self._registered[name](
            keys=[named_keys.get(key) or getattr(self._keys, key) for key in script.keys],
            args=[*(getattr(self._keys, prefix) for prefix in script.prefixes), *arguments],
        )


def _file(path: str) -> str:
    return (files("warmer.store") / "lua" / path).read_text(encoding="utf-8")


def _variables(words: list[str], source_list: str, first: int) -> str:
    names, values = [], []
    for position, word in enumerate(words, first):
        name, _, kind = word.partition(":")
        value = f"{source_list}[{position}]"
        names.append(name)
        values.append(f"tonumber({value})" if kind == "number" else value)
    return f"local {', '.join(names)} = {', '.join(values)}"


def _list_variable(name: str, first: int) -> str:
    return f"local {name} = {{}} for i = {first}, #ARGV do {name}[#{name} + 1] = ARGV[i] end"
