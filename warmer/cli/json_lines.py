"""JSON Lines as items of `warm_many`: each line has the arguments of one target."""

import codecs
import json
import os
import re
from collections.abc import Iterator
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any

from warmer.errors import InvalidTaskError, described, shortened

BLOCK_BYTES = 65_536
STANDARD_INPUT = 0
_JSON_STARTS = '{["'
_SCIENTIFIC = re.compile(r"-?\d{1,400}(?:\.\d{1,400})?[eE][+-]?\d{1,400}")


def items_of(lines: Iterator[bytes]) -> Iterator[Any]:
    """Yield one item per line: an array as a tuple, any other value as it is, and a line that is not JSON as a text.

    A line that begins as an object, an array or a string must be JSON. If it is not, or if a value in it would change,
    the line yields its error, so that `warm_many` counts it as failed; empty lines are skipped.

    Example:
        >>> list(items_of(iter([b'{"user_id": 42}', b'[42, "south"]', b"", b"42", b"3f25-4f89"])))
        [{'user_id': 42}, (42, 'south'), 42, '3f25-4f89']
    """
    for number, line in enumerate(lines, 1):
        text = line.removeprefix(codecs.BOM_UTF8).strip() if number == 1 else line.strip()
        if text:
            yield _item(number, text)


def _item(number: int, line: bytes) -> Any:
    try:
        text = line.decode()
        value = _value(text) if text[0] in _JSON_STARTS else _plain_value(text)
    except (ValueError, RecursionError) as error:
        return InvalidTaskError(f"line {number} is not JSON: {described(error)}")
    except InvalidTaskError as error:
        return InvalidTaskError(f"line {number}: {error}")
    return tuple(value) if isinstance(value, list) else value


def _value(text: str) -> Any:
    """Return the value of a JSON text; whole numbers of any size stay whole."""
    return json.loads(text, parse_float=_exact, parse_constant=_refuse_constant, object_pairs_hook=_without_repeats)


def _plain_value(text: str) -> Any:
    """Return a number, a boolean or None, or else the text itself, as `psql -At` prints ids."""
    if "e" in text.lower() and _SCIENTIFIC.fullmatch(text):
        raise InvalidTaskError(f"{shortened(text)} may be a text or a number: write a text in quotes, a number in full")
    try:
        return _value(text)
    except ValueError:
        return text


def _exact(text: str) -> float:
    number = float(text)
    if not isfinite(number) or Decimal(text) != Decimal(repr(number)):
        raise InvalidTaskError(f"the number {shortened(text)} would change to {number!r}: write it in quotes")
    return number


def _refuse_constant(text: str) -> None:
    raise InvalidTaskError(f"{text} is no JSON number: write it in quotes if it is a text")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidTaskError(f"an argument is given twice in {[name for name, _ in pairs]}")
    return found


class LinesFile:
    """Items of a regular file, which is read twice: once to count them."""

    def __init__(self, path: Path) -> None:
        """Count the items."""
        self._path = path
        with path.open("rb") as lines:
            self._length = sum(1 for line in lines if line.removeprefix(codecs.BOM_UTF8).strip())

    def __len__(self) -> int:
        """Return the number of items."""
        return self._length

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the items."""
        with self._path.open("rb") as lines:
            yield from items_of(lines)


def lines_of(descriptor: int) -> Iterator[bytes]:
    """Yield the lines of an open pipe, each as soon as it arrives.

    It reads from the file descriptor: a process that ends while a daemon thread reads `sys.stdin` is aborted.
    """
    rest = b""
    while block := os.read(descriptor, BLOCK_BYTES):
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
    yield rest


def lines_of_pipe(path: Path) -> Iterator[bytes]:
    """Yield the lines of a named pipe, which is opened at the first line."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield from lines_of(descriptor)
    finally:
        os.close(descriptor)


def items_at(place: str) -> Any:
    """Return the items of a file, a named pipe, or standard input.

    Args:
        place: A path, or "-" for standard input.

    Raises:
        OSError: it cannot be read.
    """
    if place == "-":
        return items_of(lines_of(STANDARD_INPUT))
    path = Path(place)
    return LinesFile(path) if path.is_file() else items_of(lines_of_pipe(path))
