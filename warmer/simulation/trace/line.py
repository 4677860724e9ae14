"""One line of a trace, taken out of what a container, a collector or syslog has put around it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TEXT_FIELDS = ("log", "message", "MESSAGE", "msg", "textPayload", "line")
_TIME_FIELDS = ("time", "timestamp", "@timestamp", "ts", "__REALTIME_TIMESTAMP")
_REQUEST_FIELDS = {"request", "request_uri", "RequestPath", "url", "uri", "path", "req", "httpRequest", "http"}
_MAX_PREFIX = 400
_MAX_WRAPPERS = 3


class OtherFormatError(ValueError):
    """A line is not of the format that a parser reads."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a trace.

    Args:
        text: The line, without its wrapper.
        record: The JSON object in it; None for other lines.
        wrapped_at: The time that the wrapper has, as it stands there; None without one.
    """

    text: str
    record: Mapping[str, Any] | None = None
    wrapped_at: object = None


def line_of(text: str) -> Line:
    r"""Return a line without its wrapper: Docker's json-file, another object with a `log` or `message`, or a prefix.

    Example:
        >>> line_of('{"log": "a line\\n", "stream": "stdout", "time": "2025-10-10T13:55:36Z"}')
        Line(text='a line', record=None, wrapped_at='2025-10-10T13:55:36Z')
        >>> line_of('Oct 10 13:55:36 web caddy[1]: {"status": 200}').record
        {'status': 200}
    """
    text = text.strip("\r\n")
    wrapped_at = None
    for _ in range(_MAX_WRAPPERS):
        record = _record_in(text)
        inner = None if record is None else _inner_text(record)
        if record is None or inner is None:
            return Line(text, record, wrapped_at)
        text = inner.strip("\r\n")
        wrapped_at = next((record[name] for name in _TIME_FIELDS if name in record), wrapped_at)
    return Line(text, None, wrapped_at)


def _record_in(text: str) -> Mapping[str, Any] | None:
    """Return the JSON object at the end of a text, behind a prefix such as that of syslog."""
    start = text.find("{", 0, _MAX_PREFIX)
    if start < 0 or not text.rstrip().endswith("}"):
        return None
    try:
        found = json.loads(text[start:])
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _inner_text(record: Mapping[str, Any]) -> str | None:
    """Return the text that a record wraps: a line with a quoted request or JSON in it, or Docker's `log`."""
    if not _REQUEST_FIELDS.isdisjoint(record):
        return None
    for name in _TEXT_FIELDS:
        text = record.get(name)
        if isinstance(text, str) and (name == "log" or '"' in text):
            return text
    return None
