"""Trace reader: from a file or standard input, plain or gzip, in any of the known formats.

Every line goes to the parser that has read the line before; one that it cannot read goes to the others. The format that
has read most lines is the trace's, so that no number of foreign lines at its beginning decides.
"""

import codecs
import gzip
import io
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from warmer.errors import TraceError, described
from warmer.simulation.trace.csv import BY_POSITION, check_reads
from warmer.simulation.trace.http_request import NO_REQUEST
from warmer.simulation.trace.line import OtherFormatError, line_of
from warmer.simulation.trace.line_counts import COMMENT, ODD_TIME, OTHER_FORMAT, UNREADABLE, LineCounts
from warmer.simulation.trace.timestamp import MIN_EPOCH_S
from warmer.simulation.trace.trace import Row, Trace, trace_of
from warmer.simulation.trace.trace_formats import FORMATS, LineParser

STANDARD_INPUT = "-"
_GZIP = b"\x1f\x8b"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(slots=True)
class _Candidate:
    """What one format has made of the lines."""

    name: str
    parser: LineParser
    rows: list[Row] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    unreadable_count: int = 0
    first_unreadable: str = ""

    @property
    def line_count(self) -> int:
        return len(self.rows) + self.left_out.total()

    @property
    def evidence(self) -> tuple[int, ...]:
        """The counts by which formats are compared: reads, lines, and lines of the format with an unreadable value."""
        return len(self.rows), self.line_count, self.unreadable_count

    def note_unreadable(self, error: ValueError, where: str) -> None:
        if not isinstance(error, OtherFormatError):
            self.unreadable_count += 1
        self.first_unreadable = self.first_unreadable or f"{where}: {error}"


def read_trace(path: str, with_query: bool = True, format_name: str | None = None) -> tuple[Trace, LineCounts]:
    """Read a trace.

    Args:
        path: A file, plain or gzip, whatever its name; `-` for standard input. Lines may come in any order.
        with_query: Of URLs in logs: whether the key is the path with its query string, or the path alone.
        format_name: One of `FORMATS`; None to find the one that reads most lines.

    Raises:
        TraceError: It cannot be opened, or has no line that is a read.
    """
    names = [format_name] if format_name else list(FORMATS)
    candidates = [_Candidate(name, FORMATS[name][1](with_query)) for name in names]
    try:
        with _text_of(_opened(path)) as lines:
            unclaimed = _distribute(lines, candidates)
    except (OSError, EOFError, zlib.error, UnicodeError) as error:
        raise TraceError(f"expected a trace at {path!r}, but it cannot be read: {described(error)}") from error
    best = max(candidates, key=lambda candidate: candidate.evidence)
    rows, counts = _counted(best, candidates, unclaimed)
    if not rows:
        raise TraceError(
            f"{path!r} has no read in it: {counts}. Expected CSV lines time_s,key[,reads[,cost_s]], or a log with "
            f"GET or HEAD requests that did not fail; the formats are {', '.join(FORMATS)}"
        )
    if counts.columns.startswith(BY_POSITION):
        check_reads(rows)
    return trace_of(_name_of(path), rows), counts


def _opened(path: str) -> BinaryIO:
    return sys.stdin.buffer if path == STANDARD_INPUT else Path(path).open("rb")


def _text_of(file: BinaryIO) -> io.TextIOWrapper:
    """Return the lines as text; bytes that are no UTF-8 stay distinct."""
    packed = io.BufferedReader(file)  # type: ignore[type-var]
    is_packed = packed.peek(len(_GZIP)).startswith(_GZIP)
    plain = io.BufferedReader(gzip.GzipFile(fileobj=packed)) if is_packed else packed
    is_utf_16 = plain.peek(2).startswith(_UTF_16)
    return io.TextIOWrapper(plain, encoding="utf-16" if is_utf_16 else "utf-8-sig", errors="surrogateescape")


def _distribute(lines: Iterable[str], candidates: Sequence[_Candidate]) -> Counter[str]:
    """Give each line to a candidate that can read it, the last one first; return the counts of those that none can."""
    order = list(candidates)
    unclaimed: Counter[str] = Counter()
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        reader = _read_by(order, number, text)
        if reader is None:
            unclaimed[COMMENT if text.startswith("#") else UNREADABLE] += 1
        elif reader is not order[0]:
            order.remove(reader)
            order.insert(0, reader)
    return unclaimed


def _read_by(order: Sequence[_Candidate], number: int, text: str) -> _Candidate | None:
    """Return the candidate that has read a line; None if none can."""
    line = line_of(text)
    errors: list[ValueError] = []
    without_request = None
    for candidate in order:
        try:
            found = candidate.parser.parse(line)
        except ValueError as error:
            errors.append(error)
            continue
        if isinstance(found, Row):
            candidate.rows.append(found)
        elif found == NO_REQUEST:  # another format may find one
            without_request = without_request or candidate
            continue
        elif found is not None:
            candidate.left_out[found] += 1
        return candidate
    if without_request is not None:
        without_request.left_out[NO_REQUEST] += 1
        return without_request
    if not text.startswith("#"):
        for candidate, reason in zip(order, errors, strict=True):
            candidate.note_unreadable(reason, f"line {number}, {text.strip()[:80]!r}")
    return None


def _counted(
    best: _Candidate, candidates: Sequence[_Candidate], unclaimed: Counter[str]
) -> tuple[list[Row], LineCounts]:
    """Return the rows of the trace, and the counts of all lines."""
    rows = _of_one_epoch(best.rows)
    left_out = best.left_out + unclaimed
    others = [other for other in candidates if other is not best and other.line_count]
    left_out[OTHER_FORMAT] += sum(other.line_count for other in others)
    left_out[ODD_TIME] += len(best.rows) - len(rows)
    counts = LineCounts(
        best.name,
        best.parser.columns,
        len(rows) + left_out.total(),
        len(rows),
        +left_out,
        best.first_unreadable,
        tuple(other.name for other in others),
    )
    return rows, counts


def _of_one_epoch(rows: list[Row]) -> list[Row]:
    """Return the rows without those that count their times from another moment than most do, such as 0 for unknown."""
    unix = sum(row.time_s >= MIN_EPOCH_S for row in rows)
    if unix in (0, len(rows)):
        return rows
    return [row for row in rows if (row.time_s >= MIN_EPOCH_S) == (2 * unix >= len(rows))]


def _name_of(path: str) -> str:
    """Return a file's name up to its first dot."""
    return "stdin" if path == STANDARD_INPUT else Path(path).name.split(".")[0] or path
