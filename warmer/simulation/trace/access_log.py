"""Parser of access logs in the common or combined format (Apache, nginx and others)."""

import re
from calendar import timegm
from functools import lru_cache

from warmer.simulation.trace.trace import Row

_LINE = re.compile(
    r"\[(\d\d/[A-Z][a-z][a-z]/\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})\] "  # time
    r'"([^\s"]+) ([^\s"]+)(?: (?:[^"\\]|\\.)*)?" (\d{3})\b'  # request and status
)
_ORIGIN = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://[^/?]*")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MIN_ERROR_STATUS = 400


def is_log_line(line: str) -> bool:
    """Return whether a line is of an access log.

    Example:
        >>> is_log_line('::1 - - [10/Oct/2025:13:55:36 -0700] "GET / HTTP/1.1" 200 2326')
        True
    """
    return _LINE.search(line) is not None


def row_of_line(line: str, with_query: bool) -> Row | None:
    """Return the read in a line of an access log.

    Args:
        line: The line.
        with_query: Whether the key is the path with its query string, or the path alone.

    Returns:
        The read; None for requests that a cache does not answer: other methods than GET and HEAD, and errors.

    Raises:
        ValueError: The line is not of an access log.

    Example:
        >>> line = '::1 - - [10/Oct/2025:13:55:36 -0700] "GET /index.html?page=2 HTTP/1.1" 200 2326 "-" "curl"'
        >>> row_of_line(line, with_query=True)
        Row(time_s=1760129736.0, key='/index.html?page=2', reads=1, cost_s=None)
    """
    found = _LINE.search(line)
    if found is None:
        raise ValueError("expected a line of the common or combined log format")
    day, hours, minutes, seconds, zone, method, requested, status = found.groups()
    midnight_s = _midnight_s(day, zone)
    if method not in ("GET", "HEAD") or int(status) >= MIN_ERROR_STATUS:
        return None
    return Row(
        float(midnight_s + 3600 * int(hours) + 60 * int(minutes) + int(seconds)), _key(requested, with_query=with_query)
    )


@lru_cache(maxsize=64)
def _midnight_s(day: str, zone: str) -> int:
    number, month, year = day.split("/")
    if month not in _MONTHS:
        raise ValueError(f"expected a month such as Oct, got {month!r}")
    east_s = 3600 * int(zone[1:3]) + 60 * int(zone[3:5])
    return timegm((int(year), _MONTHS.index(month) + 1, int(number), 0, 0, 0)) - (east_s if zone[0] == "+" else -east_s)


def _key(requested: str, with_query: bool) -> str:
    """Return the path and, if wanted, the query, without the origin that a proxy's log has before it."""
    target = _ORIGIN.sub("", requested).partition("#")[0]
    path, mark, query = target.partition("?")
    return (path or "/") + (mark + query if with_query and query else "")
