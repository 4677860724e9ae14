"""The work that readers are given: which keys, how large, how often."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from measuring.values import value_of

READS = {100: 25, 1024: 25, 65536: 5}
"""Reads in one run, by the size of the values in bytes; few, so that the machine is in one mood throughout a round."""

USUAL_SIZE = 1024
KEYS = 20
MANY_KEYS = 1000
CROWD, READS_IN_CROWD = 100, 5
MISSES = 20

MANY = f"{MANY_KEYS:,} keys of 1 KB at once"
AT_ONCE = f"1 KB, {CROWD} readers at once"


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
    return _value(int(key.rpartition("-")[2]))


@cache
def _value(size_bytes: int) -> dict[str, Any]:
    return value_of(size_bytes)


def check(name: str, found: Any, keys: list[str]) -> None:
    """Refuse to measure a contender that does not return what was cached.

    Raises:
        SystemExit: it returns something else.
    """
    values = list(found.values()) if isinstance(found, Mapping) else list(found)
    if values != [expected(key) for key in keys]:
        raise SystemExit(f"{name} did not return the {len(keys)} cached values of {keys[0]} and so on")
