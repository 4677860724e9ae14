"""Loads the Lua scripts and runs them by name; each file's header is its contract, and is executed.

These lines of a header become the script's local variables, so that neither side counts positions::

    -- @keys due claims           names of `Keys`, or of keys that the caller passes by name; as many lines as it takes
    -- @prefixes stats            names of `Keys` that begin a family of keys
    -- @args token limit:number   what the caller passes, in this order
    -- @rest refs                 whatever else it passes, as a list
    -- @each_key lease entry      or: the keys of each thing, and after the arguments what else is passed of it; the
    -- @each_arg new              script finds the things in the list `each`, by these names
    -- @include lanes             shared functions, from includes/
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from warmer.store.keys import Keys

_DIRECTIVE = re.compile(r"^-- @(keys|prefixes|args|rest|each_key|each_arg|include) (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Source:
    """One script, ready to be sent.

    Args:
        text: Its Lua.
        keys: Names of its keys.
        prefixes: Names of its prefixes, which are passed first.
        arguments: Names of its arguments, which are passed next.
        takes_rest: Whether it takes any number of further arguments.
        each_key: Names of the keys of each of any number of things.
        each_arg: Names of the arguments of each.
    """

    text: str
    keys: tuple[str, ...]
    prefixes: tuple[str, ...]
    arguments: tuple[str, ...]
    takes_rest: bool
    each_key: tuple[str, ...]
    each_arg: tuple[str, ...]


@cache
def source(name: str) -> Source:
    """Return a script by name.

    Args:
        name: The file's name in ``lua/``, without its ending.

    Raises:
        FileNotFoundError: there is no such script.

    Example:
        >>> source("give_back").arguments
        ('token',)
    """
    text = _file(f"{name}.lua")
    named: dict[str, tuple[str, ...]] = {}
    for kind, words in _DIRECTIVE.findall(text):
        if kind != "include":
            named[kind] = (*named.get(kind, ()), *words.split())
    prefixes, arguments = named.get("prefixes", ()), named.get("args", ())
    first = {"keys": 1, "prefixes": 1, "args": 1 + len(prefixes)}

    def local_variables(found: re.Match[str]) -> str:
        kind, words = found[1], found[2].split()
        if kind == "include":
            return _file(f"includes/{found[2]}.lua")
        if kind == "rest":
            return _list_variable(words[0], len(prefixes) + len(arguments) + 1)
        if kind == "each_key":
            return _each_variable(words, list(named.get("each_arg", ())), len(arguments))
        if kind == "each_arg":
            return ""
        variables = _variables(words, "KEYS" if kind == "keys" else "ARGV", first[kind])
        first[kind] += len(words)
        return variables

    return Source(
        _DIRECTIVE.sub(local_variables, text),
        named.get("keys", ()),
        prefixes,
        tuple(argument.partition(":")[0] for argument in arguments),
        "rest" in named,
        named.get("each_key", ()),
        tuple(argument.partition(":")[0] for argument in named.get("each_arg", ())),
    )


class Scripts:
    """Runs scripts over one client.

    Args:
        client: The client that sends them.
        keys: Resolves the names of keys.
    """

    def __init__(self, client: Any, keys: Keys) -> None:
        """Prepare; nothing is sent yet."""
        self.client = client
        self.keys = keys
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
        return self._script(name, script)(
            keys=[named_keys.get(key) or getattr(self.keys, key) for key in script.keys],
            args=[*(getattr(self.keys, prefix) for prefix in script.prefixes), *arguments],
        )

    def run_each(
        self, name: str, each: Sequence[Sequence[str | bytes | int]], *arguments: str | bytes | int | float
    ) -> Any:
        """Run a script over any number of things, and return its answer as Redis gives it.

        Args:
            name: The script's name.
            each: For each thing its keys, then its arguments, in the order of the script's header.
            *arguments: The arguments for all, in the order of its header.

        Raises:
            redis.RedisError: Redis did not answer, or refused.
        """
        script, width = source(name), len(source(name).each_key)
        return self._script(name, script)(
            keys=[key for one in each for key in one[:width]],
            args=[*arguments, *(argument for one in each for argument in one[width:])],
        )

    def _script(self, name: str, script: Source) -> Any:
        if name not in self._registered:
            self._registered[name] = self.client.register_script(script.text)
        return self._registered[name]


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


def _each_variable(keys: list[str], arguments: list[str], first: int) -> str:
    fields = [f"{name} = KEYS[{len(keys)} * i + {position}]" for position, name in enumerate(keys, 1)]
    for position, argument in enumerate(arguments, first + 1):
        name, _, kind = argument.partition(":")
        value = f"ARGV[{len(arguments)} * i + {position}]"
        fields.append(f"{name} = {f'tonumber({value})' if kind == 'number' else value}")
    return f"local each = {{}} for i = 0, #KEYS / {len(keys)} - 1 do each[i + 1] = {{{', '.join(fields)}}} end"
