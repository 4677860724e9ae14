"""Parser of delimited text: `time_s,key[,reads[,cost_s]]`, or columns that a first line names."""

import csv
import re
from collections.abc import Sequence
from http import HTTPStatus

from warmer.errors import TraceError
from warmer.simulation.trace.http_request import split_request
from warmer.simulation.trace.line import Line, OtherFormatError
from warmer.simulation.trace.named_columns import Columns, columns_of, cost_s_of, has_a_known_name, reads_of, row_of
from warmer.simulation.trace.timestamp import time_s_of, unit_of
from warmer.simulation.trace.trace import Row

COLUMNS = ("time_s", "key", "reads", "cost_s")
BY_POSITION = "by position"
_NUMBER = re.compile(r"[+-]?\d{1,40}(?:[.,]\d{0,40})?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d{1,40},\d{1,40}")
_REST_OF_TIME = re.compile(r"\d{3,6}(?: |$|;)")
_MAX_HEADER = 8192
_STATUSES = {status.value for status in HTTPStatus} | {499}
_MIN_STATUSES = 5


class DelimitedText:
    """Parser of CSV, or of text with another delimiter.

    Args:
        with_query: Of columns of URLs: whether the key has the query string.
        delimiter: One character.

    Example:
        >>> lines = [Line("timestamp;url;hits"), Line("7;/index.html;2")]
        >>> text = DelimitedText(with_query=True, delimiter=";")
        >>> [text.parse(line) for line in lines]
        [None, Row(time_s=7.0, key='/index.html', reads=2, cost_s=None)]
    """

    def __init__(self, with_query: bool, delimiter: str = ",") -> None:
        self._with_query = with_query
        self._delimiter = delimiter
        self._names: list[str] = []
        self._columns: Columns | None = None
        self._rejected_header = ""
        self.columns = ""

    def parse(self, line: Line) -> Row | str | None:
        """Return the read in a line, or the reason why it is none; None for a header.

        Raises:
            ValueError: The line cannot be parsed.
        """
        text = line.text
        if text.lower().startswith("sep=") and len(text) <= 6:
            return None
        if self._delimiter not in text and self._columns is None:
            raise OtherFormatError(f"expected a time and a key with {self._delimiter!r} between them")
        if self._rejected_header:
            raise ValueError(self._rejected_header)
        fields = self._fields(text)
        if self._columns is None and _is_header(fields, len(text)):
            self._take_names(fields)
            return None
        if fields == self._names:  # files that were put together repeat their header
            return None
        row = row_of_fields(fields) if self._columns is None else self._named_row(self._columns, fields)
        if not self.columns and isinstance(row, Row):
            self.columns = self._described(fields)
        return row

    def _fields(self, text: str) -> list[str]:
        if self._delimiter == "," and _looks_like_a_decimal_comma(text):
            raise OtherFormatError("expected a comma between time and key, got one within the time")
        if '"' not in text:
            fields = text.split(self._delimiter)
        else:
            try:
                fields = next(csv.reader([text], delimiter=self._delimiter, strict=True))
            except csv.Error as error:
                raise ValueError(f"expected quotes around whole fields of one line, got a line with {error}") from None
        return self._with_points(fields) if self._delimiter == ";" else fields

    def _with_points(self, fields: Sequence[str]) -> list[str]:
        """Return the fields with decimal points instead of commas in all numbers but the key."""
        key = 1 if self._columns is None else self._columns.key
        return [
            field.replace(",", ".") if number != key and _DECIMAL_COMMA.fullmatch(field.strip()) else field
            for number, field in enumerate(fields)
        ]

    def _take_names(self, fields: Sequence[str]) -> None:
        columns = columns_of(tuple(fields))
        if columns is None:
            message = (
                "expected names of a time and a key, such as timestamp and key or url, in the header, got "
                f"{', '.join(fields)[:80]!r}"
            )
            if not self.columns:  # no line was read by position
                self._rejected_header = message
            raise ValueError(message)
        self._names, self._columns = list(fields), columns

    def _named_row(self, columns: Columns, fields: Sequence[str]) -> Row | str:
        if len(fields) > len(self._names):
            raise ValueError(f"expected {len(self._names)} fields as in the header, got {len(fields):,}")
        return row_of(columns, fields, self._with_query)

    def _described(self, fields: Sequence[str]) -> str:
        if self._columns is not None:
            return self._columns.described([name.strip() for name in self._names], fields)
        unit = unit_of(fields[0])
        in_unit = f" in {unit}" if unit else ""
        return f"{BY_POSITION}: {', '.join(COLUMNS[: len(fields)]).replace('time_s', 'time' + in_unit)}"


def row_of_fields(fields: Sequence[str]) -> Row:
    """Return the row in the fields of a line without a header.

    Args:
        fields: Time, key, and if known reads and the cost in seconds.

    Raises:
        ValueError: A field cannot be parsed, or there are others than these four.

    Example:
        >>> row_of_fields(["7", "/index.html", "2"])
        Row(time_s=7.0, key='/index.html', reads=2, cost_s=None)
    """
    count = len(fields)
    key = fields[1].strip() if count > 1 else ""
    if not key:
        raise OtherFormatError("expected a time and a key")
    if count > len(COLUMNS):
        raise ValueError(
            f"expected time_s,key[,reads[,cost_s]], got {count:,} fields: name the columns in a first line"
        )
    try:
        time_s = time_s_of(fields[0])
    except ValueError as error:
        raise OtherFormatError(str(error)) from None
    request = split_request(key) if " HTTP/" in key else None
    if request is not None or (":" in fields[0] and _REST_OF_TIME.match(key)):
        raise ValueError("expected a time and a key, got a line of a log: name the columns in a first line")
    return Row(
        time_s,
        key,
        reads_of(fields[2].strip()) if count > 2 else 1,
        cost_s_of(fields[3].strip()) if count > 3 else None,
    )


def check_reads(rows: Sequence[Row]) -> None:
    """Check that reads by position are no statuses of responses.

    Raises:
        TraceError: All of them are such numbers.

    Example:
        >>> check_reads([Row(7.0, "/a", 1), Row(8.0, "/b", 200)])
    """
    if len(rows) >= _MIN_STATUSES and all(row.reads in _STATUSES for row in rows):
        raise TraceError(
            "expected reads in the third column, got only statuses such as 200: name the columns in a first line, for "
            "example time,path,status"
        )


def _is_header(fields: Sequence[str], length: int) -> bool:
    """Return whether a line names columns: it has a known name, and no number."""
    if length > _MAX_HEADER or len(fields) < 2 or fields[0][:1].isdigit():
        return False
    return not any(_NUMBER.fullmatch(field.strip()) for field in fields) and has_a_known_name(fields)


def _looks_like_a_decimal_comma(text: str) -> bool:
    found = _DECIMAL_COMMA.match(text)
    return found is not None and text[found.end() : found.end() + 1] == ";"
