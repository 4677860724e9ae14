"""Scripts: their headers are executed, so they must be whole, and say all that a file touches."""

import re
from importlib.resources import files

import pytest

from warmer import Settings
from warmer.store.constants import CONSTANTS
from warmer.store.keys import Keys
from warmer.store.scripts import LuaFile, Scripts, lua_file, parse_lua, script_text, with_includes

FOLDER = files("warmer.store") / "lua"
NAMES = sorted(path.name for path in FOLDER.iterdir() if path.name.endswith(".lua"))
INCLUDES = sorted(path.name.removesuffix(".lua") for path in (FOLDER / "includes").iterdir())
FILES = [*NAMES, *(f"includes/{name}.lua" for name in INCLUDES)]
KEYS = {name for name, value in vars(Keys).items() if isinstance(value, property)}
SETTINGS = Settings.load(redis_url="redis://localhost")

DECLARATION = re.compile(r"\blocal (?!function\b)([\w, ]+)|\bfunction \w*\s*\(([\w, ]*)\)|\bfor ([\w, ]+?) (?:in|=) ")
AT_TOP_LEVEL = re.compile(r"^local (?:function (\w+)|(?!function\b)([\w, ]+?)\s*(?:=|$))", re.MULTILINE)
DIRECTIVES = {"keys", "settings", "const", "args", "rest", "each_key", "each_arg", "include"}


def code_of(file: LuaFile) -> str:
    """Its text without comments and strings."""
    return re.sub(r"'(?:\\.|[^'\\])*'", "''", re.sub(r"--.*", "", file.text))


def names_in(found: tuple[str, ...]) -> set[str]:
    return {word for words in found for word in re.findall(r"\w+", words)}


def used_by(file: LuaFile) -> set[str]:
    """All names that it reads: fields after a dot and fields of a table that is written down do not count."""
    code = code_of(file)
    read = set()
    for found in re.finditer(r"(\.*)\b([A-Za-z_]\w*)(\s*=(?!=))?", code):
        is_in_table = code.count("{", 0, found.start()) > code.count("}", 0, found.start())
        if found[1] != "." and not (found[3] and is_in_table):
            read.add(found[2])
    return read


def declared_in(file: LuaFile) -> set[str]:
    return set().union(*(names_in(found) for found in DECLARATION.findall(code_of(file))))


def offered_by(include: str) -> set[str]:
    """What those that include it may call."""
    file = lua_file(f"includes/{include}.lua")
    return set().union(*(names_in(found) for found in AT_TOP_LEVEL.findall(re.sub(r"--.*", "", file.text))))


OFFERED = {include: offered_by(include) for include in INCLUDES}


@pytest.mark.parametrize("path", FILES)
def test_a_header_names_exactly_the_keys_and_numbers_that_its_file_touches(path):
    file = lua_file(path)
    assert set(file.words("keys")) == used_by(file) & KEYS
    assert set(file.words("const")) == used_by(file) & set(CONSTANTS)
    assert set(file.words("settings")) <= used_by(file)
    assert not declared_in(file) & (KEYS | set(CONSTANTS)), "a local variable may not hide a key"


@pytest.mark.parametrize("path", FILES)
def test_a_header_names_exactly_the_includes_whose_functions_its_file_calls(path):
    file = lua_file(path)
    foreign = used_by(file) - declared_in(file)
    called = {include for include in INCLUDES if foreign & OFFERED[include]} - {path[len("includes/") : -len(".lua")]}
    assert set(file.words("include")) == called


@pytest.mark.parametrize("path", FILES)
def test_a_header_has_only_known_directives_and_names_each_word_once(path):
    file = lua_file(path)
    assert set(file.header) <= DIRECTIVES
    variables = [word for directive, words in file.header.items() if directive != "include" for word in words]
    assert len(variables) == len(set(variables))
    assert len(file.words("include")) == len(set(file.words("include")))
    assert "KEYS[" not in file.text
    assert "ARGV[" not in file.text


@pytest.mark.parametrize("path", NAMES)
def test_a_script_uses_all_its_arguments_and_says_what_it_returns(path):
    file = lua_file(path)
    arguments = [*file.words("args"), *file.words("rest")]
    assert {argument.partition(":")[0] for argument in arguments} <= used_by(file)
    for field in (*file.words("each_key"), *file.words("each_arg")):
        assert f"one.{field.partition(':')[0]}" in file.text
    assert re.search(r"^-- Returns  ", file.text, re.MULTILINE)


def test_no_two_includes_offer_the_same_name():
    names = [name for offered in OFFERED.values() for name in offered]
    assert len(names) == len(set(names))


def test_a_script_that_touches_a_key_outside_its_header_is_found():
    careless = parse_lua("-- @keys due\nredis.call('ZREM', due, 'ref') redis.call('ZREM', reviews, 'ref')")
    assert used_by(careless) & KEYS == {"due", "reviews"}


def test_includes_are_resolved_recursively_and_stand_before_those_that_need_them():
    parts = with_includes(lua_file("lapse.lua"))
    assert len(parts) == len({part.text for part in parts})
    offered: set[str] = set()
    for part in parts:
        needed = set().union(*(OFFERED[include] for include in part.words("include")), set())
        assert needed <= offered
        offered |= set().union(*(names_in(found) for found in AT_TOP_LEVEL.findall(part.text)), set())


def test_names_and_numbers_are_written_into_the_text():
    text = script_text(parse_lua("-- @keys due\n-- @settings claim_timeout_ms\nreturn due"), Keys("shop"), SETTINGS)
    assert text.splitlines()[:2] == ["local due = 'shop:due'", "local claim_timeout_ms = 15000"]


def test_a_wrong_number_of_arguments_is_an_error_not_a_nil():
    class Client:
        def register_script(self, text: str) -> object:
            return object()

    with pytest.raises(TypeError, match="reschedule takes"):
        Scripts(Client(), SETTINGS).run("reschedule", "only a ref")


def test_an_entry_its_lease_and_its_failure_share_a_slot_whatever_the_key():
    from redis.crc import key_slot

    keys = Keys("warmer")
    for cache_key in ["a", "{a}", "}", "a}b", "%7D", "user:{", "{}{}", "ä}%"]:
        names = (keys.entry(cache_key), keys.lease(cache_key), keys.failure(cache_key))
        assert len({key_slot(name.encode()) for name in names}) == 1, cache_key
    assert len({keys.entry(cache_key) for cache_key in ["}", "%7D", "%257D"]}) == 3
