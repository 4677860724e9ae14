"""JSON Lines as items of `warm_many`: each line has the arguments of one target."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from warmer.errors import InvalidTaskError

BLOCK_BYTES = 65_536
STANDARD_INPUT = 0


def items_of(lines: Iterator[bytes]) -> Iterator[Any]:
    """Yield one item per line: an array as a tuple, any other value as it is.

    A line that is not JSON yields its error, so that `warm_many` counts it as failed; empty lines are skipped.

    Example:
        >>> list(items_of(iter([b'{"user_id": 42}', b'[42, "south"]', b"", b"42"])))
        [{'user_id': 42}, (42, 'south'), 42]
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _item(number, line)


def _item(number: int, line: bytes) -> Any:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return InvalidTaskError(f"line {number} is not JSON: {error}")
    return tuple(value) if isinstance(value, list) else value


class LinesFile:
    """Items of a regular file, which is read twice: once to count them."""

    def __init__(self, path: Path) -> None:
        """Count the items."""
        self._path = path
        with path.open("rb") as lines:
            self._length = sum(1 for line in lines if line.strip())

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
