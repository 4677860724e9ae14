"""Parser of access logs: a time and a quoted request, behind which its status stands.

Apache, nginx, Traefik, gunicorn, Django and S3 write so, in the common, the combined and many custom formats. Text
before these parts, such as a prefix of syslog or a virtual host, does not matter.
"""

import re
from collections.abc import Iterator

from warmer.simulation.trace.http_request import MIN_ERROR_STATUS, key_of, reason_to_leave_out, split_request
from warmer.simulation.trace.line import Line, OtherFormatError
from warmer.simulation.trace.timestamp import log_time_s, time_s_of
from warmer.simulation.trace.trace import Row

_BRACKETED = re.compile(r"\[(\d\d/[A-Z][a-z][a-z]/[^\[\]\"]{10,30}|\d{4}-\d\d-\d\d[^\[\]\"]{6,30})\]")
_BARE = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|[+-]\d\d:?\d\d))?"
    r"|\d\d/[A-Z][a-z][a-z]/\d{4}[: ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: [+-]\d{4})?"
)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"')
_STATUS = re.compile(r' "?(\d{3})\b')
_NO_LOG_LINE = "expected a line of an access log: a time, and a request in quotes with its status behind it"


class AccessLog:
    """Parser of the common and the combined log format, and of their relatives.

    Args:
        with_query: Whether the key is the path with its query string, or the path alone.

    Example:
        >>> line = Line('::1 - - [10/Oct/2025:13:55:36 -0700] "GET /index.html?page=2 HTTP/1.1" 200 2326 "-" "curl"')
        >>> AccessLog(with_query=True).parse(line)
        Row(time_s=1760129736.0, key='/index.html?page=2', reads=1, cost_s=None)
    """

    columns = ""

    def __init__(self, with_query: bool) -> None:
        self._with_query = with_query

    def parse(self, line: Line) -> Row | str:
        """Return the read in a line, or the reason why its request is none.

        Raises:
            ValueError: The line is not of an access log, or its time does not exist.
        """
        for quoted in _quoted_parts(line.text):
            status = _STATUS.match(line.text, quoted.end())
            request = split_request(quoted[1])
            if status is not None and (request is not None or int(status[1]) >= MIN_ERROR_STATUS):
                time_s = _time_s(line, quoted.start())
                method, target = request or (None, "")  # what servers log for bytes that are no HTTP request
                reason = reason_to_leave_out(method, int(status[1]))
                return reason or Row(time_s, key_of(target, self._with_query))
        raise OtherFormatError(_NO_LOG_LINE)


def _quoted_parts(text: str) -> Iterator[re.Match[str]]:
    """Yield the quoted parts of a line; it stops at a quote that does not end, so that it reads each letter once."""
    start = text.find('"')
    while start >= 0:
        found = _QUOTED.match(text, start)
        if found is None:
            return
        yield found
        start = text.find('"', found.end())


def _time_s(line: Line, end: int) -> float:
    """Return the time in brackets, or else without, or else that of the wrapper."""
    found = _BRACKETED.search(line.text)
    if found is not None:
        return log_time_s(found[1])
    bare = _BARE.search(line.text, 0, end)
    if bare is not None:
        return log_time_s(bare[0])
    if line.wrapped_at is None:
        raise OtherFormatError(_NO_LOG_LINE)
    return time_s_of(line.wrapped_at)
