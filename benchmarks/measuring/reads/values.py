"""The work that readers are given: which keys, how large, how often; and the values, JSON of an exact size."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import orjson

READS = {100: 25, 1024: 25, 65536: 5}
"""Reads in one run, by the size of the values in bytes; few, so that the machine is in one mood throughout a round."""

USUAL_SIZE = 1024
KEYS = 20
MANY_KEYS = 1000
CROWD, READS_IN_CROWD = 100, 5
MISSES = 20

MANY = f"{MANY_KEYS:,} keys of 1 KB at once"
AT_ONCE = f"1 KB, {CROWD} readers at once"

NAMES = ("Filter coffee", "Espresso", "Oolong tea", "Cocoa", "Almond biscuit", "Rye bread", "Plum jam")


def hit_of(size_bytes: int) -> str:
    """Return what hits of that size are called."""
    return f"{size_bytes} B" if size_bytes < 1024 else f"{size_bytes // 1024} KB"


def keys_of(what: str, size_bytes: int, count: int = KEYS) -> list[str]:
    """Return keys that say how large their values are."""
    return [f"{what}-{number}-{size_bytes}" for number in range(count)]


def over_and_over(keys: Iterable[str], reads: int) -> list[str]:
    """Return so many keys: these, again and again."""
    return list(itertools.islice(itertools.cycle(keys), reads))


class Source:
    """Computes values, but only while caches are filled: a hit that computes is none, and would be measured as one."""

    def __init__(self) -> None:
        self._is_open = False

    @contextmanager
    def open(self) -> Iterator[None]:
        self._is_open = True
        yield
        self._is_open = False

    def compute(self, key: str) -> dict[str, Any]:
        """Return the value of a key.

        Raises:
            SystemExit: it should have been in the cache.
        """
        if not self._is_open:
            raise SystemExit(f"{key} was computed when it should have been read from the cache")
        return expected(key)

    async def async_compute(self, key: str) -> dict[str, Any]:
        return self.compute(key)


def expected(key: str) -> dict[str, Any]:
    """Return the value of a key, of the size that the key says."""
    return value_of(int(key.rpartition("-")[2]))


def check(name: str, found: Any, keys: list[str]) -> None:
    """Refuse to measure a contender that does not return what was cached.

    Raises:
        SystemExit: it returns something else.
    """
    values = list(found.values()) if isinstance(found, Mapping) else list(found)
    if values != [expected(key) for key in keys]:
        raise SystemExit(f"{name} did not return the {len(keys)} cached values of {keys[0]} and so on")


@cache
def value_of(size_bytes: int) -> dict[str, Any]:
    """Return a value whose JSON has exactly that many bytes (at least 24), shaped like records from a database."""
    records: list[dict[str, Any]] = []
    while _json_bytes(_page([*records, _record(len(records))], "")) <= size_bytes:
        records.append(_record(len(records)))
    padding = size_bytes - _json_bytes(_page(records, ""))
    return _page(records, "x" * padding)


def _page(records: list[dict[str, Any]], note: str) -> dict[str, Any]:
    return {"records": records, "note": note}


def _record(number: int) -> dict[str, Any]:
    """Return a record that shares nothing with another: pickle would keep what is shared only once."""
    name = NAMES[number % len(NAMES)]
    price = round(1 + number * 7.31 % 90, 2)
    stock = number * 37 % 500
    return {"id": 1000 + number, "name": f"{name} no. {number}", "price": price, "stock": stock, "fair": stock > 250}


def _json_bytes(value: Any) -> int:
    return len(orjson.dumps(value))
