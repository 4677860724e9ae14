"""Parser of logs with one JSON object a line: nginx, Caddy, Traefik, Envoy, Cloudflare and one's own."""

from collections.abc import Iterator, Mapping
from typing import Any

from warmer.simulation.trace.http_request import NO_REQUEST
from warmer.simulation.trace.line import Line, OtherFormatError
from warmer.simulation.trace.named_columns import columns_of, row_of
from warmer.simulation.trace.trace import Row

_MAX_DEPTH = 3
_MAX_FIELDS = 256


class JsonLog:
    """Parser of JSON objects, in which the fields are found by their names.

    Args:
        with_query: Of URLs and request lines: whether the key has the query string.

    Example:
        >>> line = Line("", {"ts": 1760101200.5, "request": {"method": "GET", "uri": "/a"}, "status": 200})
        >>> JsonLog(with_query=True).parse(line)
        Row(time_s=1760101200.5, key='/a', reads=1, cost_s=None)
    """

    def __init__(self, with_query: bool) -> None:
        self._with_query = with_query
        self.columns = ""

    def parse(self, line: Line) -> Row | str:
        """Return the read in a line, or the reason why its request is none.

        Raises:
            ValueError: The line is not a JSON object, or a field of it cannot be read.
        """
        if line.record is None:
            raise OtherFormatError("expected a JSON object")
        fields = dict(_flat(line.record))
        names = tuple(fields)
        if len(names) > _MAX_FIELDS:
            raise ValueError(f"expected a JSON object of at most {_MAX_FIELDS} fields, got {len(names):,}")
        columns = columns_of(names)
        if columns is None:
            return NO_REQUEST
        values = list(fields.values())
        row = row_of(columns, values, self._with_query)
        if not self.columns and isinstance(row, Row):
            self.columns = columns.described(names, values)
        return row


def _flat(record: Mapping[str, Any], prefix: str = "", depth: int = 1) -> Iterator[tuple[str, Any]]:
    """Yield the fields of an object and of those in it, with names such as `request.uri`."""
    for name, value in record.items():
        if isinstance(value, dict) and depth < _MAX_DEPTH:
            yield from _flat(value, f"{prefix}{name[:64]}.", depth + 1)
        else:
            yield f"{prefix}{name[:64]}", value
