"""Reads recorded reads: from a file or from standard input, plain or compressed, CSV or access log."""

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

from warmer.errors import TraceError, described
from warmer.simulation.trace.access_log import is_log_line, row_of_line
from warmer.simulation.trace.csv import places_of, row_of
from warmer.simulation.trace.trace import Row, Trace, trace_of

STANDARD_INPUT = "-"
_GZIP = b"\x1f\x8b"
_LOOKED_AT = 100
"""So many lines are looked at to tell an access log from CSV."""

Parse = Callable[[str], Row | None]


@dataclass(slots=True)
class Account:
    """What became of the lines of a trace.

    Args:
        lines: How many there were, empty ones and a heading aside.
        bad: How many could not be read.
        left_out: How many told of requests that no cache would have answered.
        first_bad: The first that could not be read, and why.
    """

    lines: int = 0
    bad: int = 0
    left_out: int = 0
    first_bad: str = ""


def read_trace(place: str, with_query: bool = True) -> tuple[Trace, Account]:
    """Read a trace.

    Args:
        place: A file, plain or compressed by gzip, whatever its name; `-` for standard input. Either CSV,
            `time_s,key[,reads[,cost_s]]`, with or without these names in its first line, or an access log in the common
            or combined format. Lines may come in any order.
        with_query: Of access logs: whether the key is the path with its query string, or the path alone.

    Returns:
        The trace, and what became of its lines.

    Raises:
        TraceError: It cannot be opened, or has no line that can be read.
    """
    account = Account()
    try:
        with _text_of(_opened(place)) as lines:
            rows = list(_rows(lines, with_query, account))
    except (OSError, EOFError, zlib.error) as error:
        raise TraceError(f"expected a trace at {place!r}, but it cannot be read: {described(error)}") from error
    if not rows:
        raise TraceError(
            f"{place!r} has no read in it ({account.lines:,} lines, {account.bad:,} of them unreadable"
            f"{account.first_bad and f'; {account.first_bad}'}): expected CSV lines time_s,key[,reads[,cost_s]], or an "
            "access log in the common or combined format with GET or HEAD requests that did not fail"
        )
    return trace_of(_name_of(place), rows), account


def _opened(place: str) -> BinaryIO:
    return sys.stdin.buffer if place == STANDARD_INPUT else Path(place).open("rb")


def _text_of(file: BinaryIO) -> io.TextIOWrapper:
    buffered = io.BufferedReader(file)  # type: ignore[type-var]
    is_compressed = buffered.peek(len(_GZIP)).startswith(_GZIP)
    unpacked = gzip.GzipFile(fileobj=buffered) if is_compressed else buffered
    return io.TextIOWrapper(unpacked, encoding="utf-8-sig", errors="replace")


def _rows(lines: Iterable[str], with_query: bool, account: Account) -> Iterator[Row]:
    """Yield the reads that lines tell of, and keep the account of all lines."""
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    first = list(islice(numbered, _LOOKED_AT))
    parse: Parse
    if any(is_log_line(line) for _, line in first):
        parse = partial(row_of_line, with_query=with_query)
    else:
        places = places_of(_fields(first[0][1])) if first else None
        first = first[places is not None :]
        parse = _csv_parser(places or range(4))
    for number, line in chain(first, numbered):
        account.lines += 1
        try:
            row = parse(line)
        except ValueError as error:
            account.bad += 1
            account.first_bad = account.first_bad or f"line {number}, {line.strip()[:80]!r}: {error}"
            continue
        if row is None:
            account.left_out += 1
        else:
            yield row


def _csv_parser(places: Sequence[int]) -> Parse:
    return lambda line: row_of(_fields(line), places)


def _fields(line: str) -> list[str]:
    return next(csv.reader([line])) if '"' in line else line.split(",")


def _name_of(place: str) -> str:
    """Return a file's name up to its first dot."""
    return "stdin" if place == STANDARD_INPUT else Path(place).name.split(".")[0] or place
