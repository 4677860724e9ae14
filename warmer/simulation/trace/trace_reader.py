"""Trace reader: from a file or standard input, plain or gzip, CSV or access log."""

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
from warmer.simulation.trace.csv import columns_of, row_of
from warmer.simulation.trace.trace import Row, Trace, trace_of

STANDARD_INPUT = "-"
_GZIP = b"\x1f\x8b"
_SNIFFED_LINES = 100
"""The first lines, which decide between access log and CSV."""

Parse = Callable[[str], Row | None]


@dataclass(slots=True)
class LineCounts:
    """Counts of the lines of a trace.

    Args:
        lines: All lines except empty ones and a header.
        invalid: Lines that could not be parsed.
        skipped: Requests that a cache does not answer.
        first_invalid: The first line that could not be parsed, and why.
    """

    lines: int = 0
    invalid: int = 0
    skipped: int = 0
    first_invalid: str = ""


def read_trace(path: str, with_query: bool = True) -> tuple[Trace, LineCounts]:
    """Read a trace.

    Args:
        path: A file, plain or gzip, whatever its name; `-` for standard input. Either CSV,
            `time_s,key[,reads[,cost_s]]`, with or without a header, or an access log in the common or combined format.
            Lines may come in any order.
        with_query: Of access logs: whether the key is the path with its query string, or the path alone.

    Raises:
        TraceError: It cannot be opened, or has no valid line.
    """
    counts = LineCounts()
    try:
        with _text_of(_opened(path)) as lines:
            rows = list(_rows(lines, with_query, counts))
    except (OSError, EOFError, zlib.error) as error:
        raise TraceError(f"expected a trace at {path!r}, but it cannot be read: {described(error)}") from error
    if not rows:
        reason = f"; {counts.first_invalid}" if counts.first_invalid else ""
        raise TraceError(
            f"{path!r} has no read in it ({counts.lines:,} lines, {counts.invalid:,} of them invalid{reason}): "
            "expected CSV lines time_s,key[,reads[,cost_s]], or an access log in the common or combined format with "
            "GET or HEAD requests that did not fail"
        )
    return trace_of(_name_of(path), rows), counts


def _opened(path: str) -> BinaryIO:
    return sys.stdin.buffer if path == STANDARD_INPUT else Path(path).open("rb")


def _text_of(file: BinaryIO) -> io.TextIOWrapper:
    buffered = io.BufferedReader(file)  # type: ignore[type-var]
    is_compressed = buffered.peek(len(_GZIP)).startswith(_GZIP)
    unpacked = gzip.GzipFile(fileobj=buffered) if is_compressed else buffered
    return io.TextIOWrapper(unpacked, encoding="utf-8-sig", errors="replace")


def _rows(lines: Iterable[str], with_query: bool, counts: LineCounts) -> Iterator[Row]:
    """Yield the reads in the lines, and count all lines."""
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    first = list(islice(numbered, _SNIFFED_LINES))
    parse: Parse
    if any(is_log_line(line) for _, line in first):
        parse = partial(row_of_line, with_query=with_query)
    else:
        columns = columns_of(_fields(first[0][1])) if first else None
        first = first[columns is not None :]
        parse = _csv_parser(columns or range(4))
    for number, line in chain(first, numbered):
        counts.lines += 1
        try:
            row = parse(line)
        except ValueError as error:
            counts.invalid += 1
            counts.first_invalid = counts.first_invalid or f"line {number}, {line.strip()[:80]!r}: {error}"
            continue
        if row is None:
            counts.skipped += 1
        else:
            yield row


def _csv_parser(columns: Sequence[int]) -> Parse:
    return lambda line: row_of(_fields(line), columns)


def _fields(line: str) -> list[str]:
    return next(csv.reader([line])) if '"' in line else line.split(",")


def _name_of(path: str) -> str:
    """Return a file's name up to its first dot."""
    return "stdin" if path == STANDARD_INPUT else Path(path).name.split(".")[0] or path
