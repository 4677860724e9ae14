"""Scripts: their headers are executed, so they must be whole."""

import re
from importlib.resources import files

import pytest

from warmer.store.keys import Keys
from warmer.store.scripts import Scripts, source

FOLDER = files("warmer.store") / "lua"
NAMES = sorted(path.name.removesuffix(".lua") for path in FOLDER.iterdir() if path.name.endswith(".lua"))
NAMED_BY_CALLER = {"lease", "entry", "failure", "held", "last_flush"}


@pytest.mark.parametrize("name", NAMES)
def test_every_name_in_a_header_is_a_key_and_is_used(name):
    script = source(name)
    body = "\n".join(line for line in script.text.splitlines() if not line.startswith(("--", "local")))
    for key in (*script.keys, *script.prefixes):
        assert key in NAMED_BY_CALLER or isinstance(getattr(Keys("n"), key), str)
    for word in (*script.keys, *script.prefixes, *script.arguments):
        assert len(re.findall(rf"\b{word}\b", script.text)) > 1, f"{word} is named in the header only"
    assert "KEYS[" not in body
    assert "ARGV[" not in body


@pytest.mark.parametrize("name", NAMES)
def test_every_header_says_what_is_returned(name):
    text = (FOLDER / f"{name}.lua").read_text()
    assert re.search(r"^-- Returns  ", text, re.MULTILINE)


def test_a_wrong_number_of_arguments_is_an_error_not_a_nil():
    with pytest.raises(TypeError, match="reschedule takes"):
        Scripts(None, Keys("n")).run("reschedule", "only a ref")


def test_an_entry_its_lease_and_its_failure_share_a_slot_whatever_the_key():
    from redis.crc import key_slot

    keys = Keys("warmer")
    for cache_key in ["a", "{a}", "}", "a}b", "%7D", "user:{", "{}{}", "ä}%"]:
        names = (keys.entry(cache_key), keys.lease(cache_key), keys.failure(cache_key))
        assert len({key_slot(name.encode()) for name in names}) == 1, cache_key
    assert len({keys.entry(cache_key) for cache_key in ["}", "%7D", "%257D"]}) == 3
