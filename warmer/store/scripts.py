"""Loads the Lua scripts and runs them by name.

The header of each file is its contract, and it is executed: these lines become local variables of the script, so that
neither side counts positions::

    -- @keys due claims           names of `Keys`: the keys, and prefixes of keys, that this file itself touches
    -- @settings history_capacity fields of `Settings`; a duration may be named in ms
    -- @const MAX_LEAD_SHARE      names of `CONSTANTS`
    -- @args token limit:number   what the caller passes, in this order
    -- @rest refs                 a list of all other arguments
    -- @each_key lease entry      or: keys of each of many things, and then
    -- @each_arg token            arguments of each; the script finds the things in the list `each`, by these names
    -- @include time history      files in includes/ whose functions this file calls

An include has a header of its own, for what it touches itself. Includes are resolved recursively, and each is loaded
once. Names of keys, settings and constants are written into the text when a script is loaded for a namespace, so that
a call carries nothing but arguments. That works because the control server is a single server; scripts over entries,
which may be on a Cluster, receive their keys as ``KEYS`` (``@each_key``).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, TypeAlias

from warmer.settings import Settings
from warmer.store.constants import CONSTANTS
from warmer.store.keys import Keys

Argument: TypeAlias = str | bytes | int | float

_DIRECTIVE = re.compile(r"^-- @(\w+) (.+)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class LuaFile:
    """One file of Lua: its header, and the text below it.

    Args:
        header: The words of each directive, by its name; see the top of this module.
        text: The file without its directives.
    """

    header: dict[str, tuple[str, ...]]
    text: str

    def words(self, directive: str) -> tuple[str, ...]:
        """Return the words of a directive, in order; none if the file does not have it."""
        return self.header.get(directive, ())


def parse_lua(source: str) -> LuaFile:
    r"""Return a file of Lua by its text.

    Example:
        >>> parse_lua("-- @keys due\n-- @args ref\nreturn redis.call('ZSCORE', due, ref)").header
        {'keys': ('due',), 'args': ('ref',)}
    """
    header: dict[str, tuple[str, ...]] = {}
    for directive, words in _DIRECTIVE.findall(source):
        header[directive] = (*header.get(directive, ()), *words.split())
    return LuaFile(header, _DIRECTIVE.sub("", source))


@cache
def lua_file(path: str) -> LuaFile:
    """Return a file of Lua by its path in ``lua/``.

    Raises:
        FileNotFoundError: there is no such file.
    """
    return parse_lua((files("warmer.store") / "lua" / path).read_text(encoding="utf-8"))


def with_includes(file: LuaFile) -> list[LuaFile]:
    """Return a file after all that it includes, directly or not; each include stands before those that include it."""
    found: dict[str, LuaFile] = {}

    def visit(name: str) -> None:
        if name not in found:
            include = lua_file(f"includes/{name}.lua")
            for needed in include.words("include"):
                visit(needed)
            found[name] = include

    for name in file.words("include"):
        visit(name)
    return [*found.values(), file]


def script_text(file: LuaFile, keys: Keys, settings: Settings) -> str:
    """Return the whole text of a script, as Redis gets it.

    Args:
        file: The script.
        keys: Names of the keys.
        settings: Values of the settings.
    """
    parts = with_includes(file)

    def named(directive: str) -> list[str]:
        return sorted({word for file in parts for word in file.words(directive)})

    return "\n".join(
        [
            *_locals([(key, _lua(getattr(keys, key))) for key in named("keys")]),
            *_locals([(field, _lua(_setting(settings, field))) for field in named("settings")]),
            *_locals([(constant, _lua(CONSTANTS[constant])) for constant in named("const")]),
            *_arguments(file),
            *(file.text for file in parts),
        ]
    )


class _Loaded(NamedTuple):
    """A script that is ready to be sent, and how many arguments it takes."""

    script: Any
    arguments: tuple[str, ...]
    takes_rest: bool
    keys_of_each: int


class Scripts:
    """Runs scripts over one client.

    Args:
        client: The client that sends them.
        settings: The namespace, and the settings that scripts name.
    """

    def __init__(self, client: Any, settings: Settings) -> None:
        """Prepare; nothing is sent yet."""
        self.client = client
        self.keys = Keys(settings.namespace)
        self._settings = settings
        self._loaded: dict[str, _Loaded] = {}

    def run(self, name: str, *arguments: Argument) -> Any:
        """Run a script and return its answer as Redis gives it.

        Args:
            name: The script's name.
            *arguments: Its arguments, in the order of its header.

        Raises:
            TypeError: the number of arguments is not the header's.
            redis.RedisError: Redis did not answer, or refused.
        """
        loaded = self._loaded.get(name) or self._load(name)
        surplus = len(arguments) - len(loaded.arguments)
        if surplus < 0 or (surplus and not loaded.takes_rest):
            raise TypeError(f"script {name} takes {loaded.arguments}, got {len(arguments)} arguments")
        return loaded.script(args=arguments)

    def over_each(self, name: str) -> tuple[Any, int]:
        """Return a script that runs over any number of things: redis-py's object, and how many keys a thing has."""
        loaded = self._loaded.get(name) or self._load(name)
        return loaded.script, loaded.keys_of_each

    def _load(self, name: str) -> _Loaded:
        file = lua_file(f"{name}.lua")
        script = self.client.register_script(script_text(file, self.keys, self._settings))
        loaded = _Loaded(script, file.words("args"), bool(file.words("rest")), len(file.words("each_key")))
        self._loaded[name] = loaded
        return loaded


def _arguments(file: LuaFile) -> Iterator[str]:
    arguments, each_key = file.words("args"), file.words("each_key")
    yield from _locals([_read(word, f"ARGV[{position}]") for position, word in enumerate(arguments, 1)])
    for name in file.words("rest"):
        yield f"local {name} = {{}} for i = {len(arguments) + 1}, #ARGV do {name}[#{name} + 1] = ARGV[i] end"
    if each_key:
        each_arg = file.words("each_arg")
        fields = [(name, f"KEYS[{len(each_key)} * i + {position}]") for position, name in enumerate(each_key, 1)]
        fields += [
            _read(word, f"ARGV[{len(each_arg)} * i + {position}]")
            for position, word in enumerate(each_arg, len(arguments) + 1)
        ]
        record = ", ".join(f"{name} = {value}" for name, value in fields)
        yield f"local each = {{}} for i = 0, #KEYS / {len(each_key)} - 1 do each[i + 1] = {{{record}}} end"


def _read(word: str, value: str) -> tuple[str, str]:
    name, _, kind = word.partition(":")
    return name, f"tonumber({value})" if kind == "number" else value


def _locals(variables: Sequence[tuple[str, str]]) -> Iterator[str]:
    for name, value in variables:
        yield f"local {name} = {value}"


def _setting(settings: Settings, name: str) -> int:
    if name.endswith("_ms"):
        seconds: float = getattr(settings, f"{name.removesuffix('_ms')}_s")
        return round(1000 * seconds)
    return int(getattr(settings, name))


def _lua(value: str | int | float | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return "{" + ", ".join(map(_lua, value)) + "}"
    return f"'{value}'" if isinstance(value, str) else repr(value)
