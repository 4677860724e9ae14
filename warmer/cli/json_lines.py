"""Items from JSON Lines: one JSON value a line, each the arguments of one target."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from warmer.errors import InvalidTaskError

BLOCK_BYTES = 65_536
STANDARD_INPUT = 0


def items_of(lines: Iterator[bytes]) -> Iterator[Any]:
    """Yield what `warm_many` takes for each line: an object as it is, an array as a tuple, anything else as it is.

    A line that is no JSON is yielded as the error that says so, to be counted as failed; empty ones are left out.

    Args:
        lines: The lines.

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
        return InvalidTaskError(f"line {number} is no JSON: {error}")
    return tuple(value) if isinstance(value, list) else value


class LinesFile:
    """The items of a file, whose number is known beforehand.

    Args:
        path: A file that can be read twice.
    """

    def __init__(self, path: Path) -> None:
        """Count the items; those of a file that is growing may be more by the time they are read."""
        self._path = path
        with path.open("rb") as lines:
            self._length = sum(1 for line in lines if line.strip())

    def __len__(self) -> int:
        """Return how many there are."""
        return self._length

    def __iter__(self) -> Iterator[Any]:
        """Iterate over them."""
        with self._path.open("rb") as lines:
            yield from items_of(lines)


def lines_of(descriptor: int) -> Iterator[bytes]:
    """Yield the lines of a pipe, each as soon as it is there.

    It reads by the descriptor: a process that ends while a daemon thread waits for `sys.stdin` is aborted.

    Args:
        descriptor: Of the open pipe.
    """
    rest = b""
    while block := os.read(descriptor, BLOCK_BYTES):
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
    yield rest


def lines_of_pipe(path: Path) -> Iterator[bytes]:
    """Yield the lines of a named pipe, opened when the first is asked for.

    Args:
        path: Where it is.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield from lines_of(descriptor)
    finally:
        os.close(descriptor)


def items_at(place: str) -> Any:
    """Return the items at a place that the command line names.

    Args:
        place: Path of a file or a named pipe, or "-" for standard input.

    Raises:
        OSError: there is nothing to read.
    """
    if place == "-":
        return items_of(lines_of(STANDARD_INPUT))
    path = Path(place)
    return LinesFile(path) if path.is_file() else items_of(lines_of_pipe(path))
