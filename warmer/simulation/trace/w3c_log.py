"""Parser of logs in W3C's extended format, whose `#Fields` line names the columns: CloudFront and IIS."""

from warmer.simulation.trace.line import Line, OtherFormatError
from warmer.simulation.trace.named_columns import Columns, columns_of, row_of
from warmer.simulation.trace.trace import Row

_FIELDS = "#fields:"


class W3cLog:
    """Parser of a W3C log; the line `#Fields` tells it the columns of those that follow.

    Args:
        with_query: Whether the key is the path with its query string, or the path alone.

    Example:
        >>> log = W3cLog(with_query=True)
        >>> log.parse(Line("#Fields: date time cs-method cs-uri-stem cs-uri-query sc-status")) is None
        True
        >>> log.parse(Line("2025-10-10 13:00:00 GET /a b=1 200"))
        Row(time_s=1760101200.0, key='/a?b=1', reads=1, cost_s=None)
    """

    def __init__(self, with_query: bool) -> None:
        self._with_query = with_query
        self._names: tuple[str, ...] = ()
        self._columns: Columns | None = None
        self.columns = ""

    def parse(self, line: Line) -> Row | str | None:
        """Return the read in a line, or the reason why its request is none; None for a directive.

        Raises:
            ValueError: The line is not of such a log.
        """
        if line.text[: len(_FIELDS)].lower() == _FIELDS:
            self._take_names(line.text[len(_FIELDS) :])
            return None
        if self._columns is None:
            raise OtherFormatError("expected a line that begins with #Fields: and names a time and a cs-uri-stem")
        if line.text.startswith("#"):
            return None
        values = line.text.split("\t") if "\t" in line.text else line.text.split()
        if len(values) != len(self._names):
            raise ValueError(f"expected {len(self._names)} fields as in the line #Fields, got {len(values):,}")
        row = row_of(self._columns, values, self._with_query)
        if not self.columns and isinstance(row, Row):
            self.columns = self._columns.described(self._names, values)
        return row

    def _take_names(self, text: str) -> None:
        self._names = tuple(text[:8192].split())
        self._columns = columns_of(self._names)
