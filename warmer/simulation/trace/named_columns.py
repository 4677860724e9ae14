"""Columns of a trace found by their names: in the header of CSV, in `#Fields`, and in JSON objects."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf

from warmer.simulation.trace.http_request import NO_REQUEST, key_of, reason_to_leave_out, split_request
from warmer.simulation.trace.timestamp import log_time_s, time_s_of, unit_of
from warmer.simulation.trace.trace import Row

MAX_READS, MAX_COST_S = 10**12, 1e7

TIME_NAMES = (
    "time", "timestamp", "ts", "datetime", "starttime", "startutc", "startlocal", "msec", "timeiso8601", "timelocal",
    "epoch", "unixtime", "unixtimestamp", "requesttimestamp", "requesttimeepoch", "eventtime", "edgestarttimestamp",
    "createdat", "when", "at", "t",
)  # fmt: skip
LITERAL_KEY_NAMES = ("key", "cachekey")
REQUEST_KEY_NAMES = (
    "requesturi", "requesturl", "request", "url", "uri", "path", "requestpath", "requri", "requrl", "target",
    "csuristem", "clientrequesturi", "clientrequestpath", "httprequestrequesturl", "urloriginal", "urlpath",
)  # fmt: skip
READS_NAMES = ("reads", "count", "hits", "cnt", "n", "requests", "views")
COST_NAMES = (
    "cost", "targetprocessingtime", "upstreamresponsetime", "originduration", "duration", "requesttime", "timetaken",
    "responsetime", "latency", "elapsed",
)  # fmt: skip
_QUERY_NAMES = ("csuriquery", "querystring", "query", "args", "urlquery")
_METHOD_NAMES = (
    "method", "requestmethod", "csmethod", "verb", "httpmethod", "reqmethod", "clientrequestmethod",
    "httprequestmethod", "httprequestrequestmethod",
)  # fmt: skip
_STATUS_NAMES = (
    "status", "statuscode", "scstatus", "downstreamstatus", "responsecode", "responsestatus", "resstatuscode",
    "edgeresponsestatus", "elbstatuscode", "httpstatus", "httprequeststatus", "httpresponsestatuscode",
)  # fmt: skip

_UNIT_WORDS = {
    "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "ms": "ms", "msecs": "ms", "millis": "ms", "millisecond": "ms", "milliseconds": "ms",
    "us": "us", "usec": "us", "micros": "us", "microseconds": "us",
    "ns": "ns", "nsec": "ns", "nanos": "ns", "nanoseconds": "ns",
}  # fmt: skip
_COST_UNITS = {
    "cost": "s", "duration": "s", "requesttime": "s", "upstreamresponsetime": "s", "targetprocessingtime": "s",
    "originduration": "ns",
}  # fmt: skip
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_UPSTREAMS = re.compile(r", | : ")
_MAX_UPSTREAMS = 16
_MAX_NAME = 64
_DURATION = re.compile(r"(\d{1,20}(?:\.\d{0,20})?) ?(ns|us|µs|ms|s)?")


@dataclass(frozen=True, slots=True)
class Columns:
    """The numbers of the columns that a read is taken from; -1 for a column that is missing.

    Args:
        time: The time; with `date` the time of day.
        date: The day, if it has a column of its own; the column of the time if that is named "date".
        time_unit: The unit of times that are numbers; "" to recognise it.
        key: The key.
        is_literal: Whether the key is taken as it stands; else it is a URL or a request line.
        query: The query string, if it has a column of its own.
        reads: The number of reads.
        cost: The time of one computation.
        cost_unit: Its unit.
        method: The method of a request.
        status: The status of its response.
    """

    time: int
    key: int
    date: int = -1
    time_unit: str = ""
    is_literal: bool = True
    query: int = -1
    reads: int = -1
    cost: int = -1
    cost_unit: str = "s"
    method: int = -1
    status: int = -1

    def described(self, names: Sequence[str], values: Sequence[object]) -> str:
        """Return which columns were taken for what, in words, with the units that were recognised."""
        unit = self.time_unit or unit_of(values[self.time])
        parts = [f"time from {names[self.time]}{f' in {unit}' if unit else ''}", f"key from {names[self.key]}"]
        if self.reads >= 0:
            parts.append(f"reads from {names[self.reads]}")
        if self.cost >= 0:
            parts.append(f"cost from {names[self.cost]} in {self.cost_unit}")
        return ", ".join(parts)


@lru_cache(maxsize=1024)
def columns_of(names: tuple[str, ...]) -> Columns | None:
    """Return the columns of a read among columns with these names; None without a time or a key.

    Example:
        >>> columns_of(("status", "cache_key", "timestamp_ms"))
        Columns(time=2, key=1, date=-1, time_unit='ms', is_literal=True, query=-1, reads=-1, cost=-1, cost_unit='s', \
method=-1, status=0)
    """
    bases = [_base_and_unit(name) for name in names]
    found = {base: number for number, (base, _) in reversed(list(enumerate(bases)))}
    for number, name in enumerate(names):
        if "." in name:  # `nginx.request_uri`, unless the object has a `request_uri` of its own
            found.setdefault(_base_and_unit(name.rpartition(".")[2])[0], number)
    time = _first(found, TIME_NAMES)
    date = found.get("date", -1)
    if time < 0:
        time = date
    key = _first(found, LITERAL_KEY_NAMES + REQUEST_KEY_NAMES)
    if time < 0 or key < 0:
        return None
    cost, cost_unit = _cost_of(found, bases)
    return Columns(
        time=time,
        key=key,
        date=date if bases[time][0] in ("time", "date") else -1,
        time_unit=bases[time][1],
        is_literal=bases[key][0] in LITERAL_KEY_NAMES,
        query=-1 if bases[key][0] in LITERAL_KEY_NAMES else _first(found, _QUERY_NAMES),
        reads=_first(found, READS_NAMES),
        cost=cost,
        cost_unit=cost_unit,
        method=_first(found, _METHOD_NAMES),
        status=_first(found, _STATUS_NAMES),
    )


def has_a_known_name(names: Sequence[str]) -> bool:
    """Return whether one of the names is that of a time or a key, as in a header."""
    known = {*TIME_NAMES, "date", *LITERAL_KEY_NAMES, *REQUEST_KEY_NAMES}
    return any(_base_and_unit(name)[0] in known for name in names)


def row_of(columns: Columns, values: Sequence[object], with_query: bool) -> Row | str:
    """Return the read in the values of one line, or the reason why it is none.

    Args:
        columns: Where the values are.
        values: Texts, or the values of a JSON object.
        with_query: Of URLs and request lines: whether the key has the query string.

    Raises:
        ValueError: a value cannot be read.

    Example:
        >>> row_of(columns_of(("ts", "path", "count")), ["7", "/a?b=1", "2"], with_query=False)
        Row(time_s=7.0, key='/a', reads=2, cost_s=None)
    """
    if columns.time >= len(values) or columns.key >= len(values):
        raise ValueError("expected a time and a key")
    key = _text(values, columns.key)
    method = _text(values, columns.method).upper() or None
    if not columns.is_literal:
        request = split_request(key)
        if request is not None:
            method, key = request
            key = key_of(key, with_query=True)
        query = _text(values, columns.query)
        if query and query != "-" and "?" not in key:
            key += query if query[0] == "?" else f"?{query}"
        key = key if with_query else key.partition("?")[0]
    time_s = _time_s(columns, values)
    if not key or key == "-":
        return NO_REQUEST
    reason = reason_to_leave_out(method, _status(_text(values, columns.status)))
    return reason or Row(
        time_s, key, reads_of(_text(values, columns.reads)), cost_s_of(_text(values, columns.cost), columns.cost_unit)
    )


def reads_of(text: str) -> int:
    """Return a number of reads; 1 for an empty text.

    Raises:
        ValueError: it is no whole number from 1 to `MAX_READS`.
    """
    if not text:
        return 1
    whole = text.removesuffix(".0")
    number = int(whole) if whole.isdecimal() and len(whole) <= 15 else 0
    if not 0 < number <= MAX_READS:
        raise ValueError(f"expected reads as a whole number from 1 to {MAX_READS:,}, got {text[:40]!r}")
    return number


def cost_s_of(text: str, unit: str = "s") -> float | None:
    """Return the seconds of one computation; None if they are unknown: an empty text or "-".

    Args:
        text: A number, or a duration such as 50ms; or several of them, as nginx lists upstreams.
        unit: The unit of numbers.

    Raises:
        ValueError: it is no time, or longer than `MAX_COST_S`.

    Example:
        >>> cost_s_of("0.5"), cost_s_of("50ms"), cost_s_of("-")
        (0.5, 0.05, None)
    """
    if text in ("", "-"):
        return None
    parts = _UPSTREAMS.split(text, maxsplit=_MAX_UPSTREAMS)
    seconds = sum(_seconds(part, unit) for part in parts if part != "-")
    if not 0 <= seconds <= MAX_COST_S:
        raise ValueError(f"expected cost_s as a number of seconds up to {MAX_COST_S:,.0f}, got {text[:40]!r}")
    return seconds


def _seconds(text: str, unit: str) -> float:
    found = _DURATION.fullmatch(text)
    if found is not None:
        return float(found[1]) * _SECONDS[(found[2] or unit).replace("µ", "u")]
    try:
        return float(text) * _SECONDS[unit]
    except ValueError:
        return inf


def _first(found: dict[str, int], names: Sequence[str]) -> int:
    return next((found[name] for name in names if name in found), -1)


def _base_and_unit(name: str) -> tuple[str, str]:
    """Return a name in small letters without separators, and the unit behind it: `Duration (ms)`, `latencyMs`."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name[:_MAX_NAME].strip())
    words = [word for word in re.split(r"[^a-z0-9]+", apart.lower()) if word]
    unit = _UNIT_WORDS.get(words[-1], "") if len(words) > 1 else ""
    return "".join(words[:-1] if unit else words), unit


def _cost_of(found: dict[str, int], bases: Sequence[tuple[str, str]]) -> tuple[int, str]:
    """Return the column of the cost and its unit; names whose unit is not known do not count."""
    for name in COST_NAMES:
        if name in found:
            unit = bases[found[name]][1] or _unit_of_cost(name, found)
            if unit:
                return found[name], unit
    return -1, "s"


def _unit_of_cost(name: str, found: dict[str, int]) -> str:
    """Return the unit that a log of known origin writes; "" if it may be any."""
    if name == "duration" and "requestpath" in found:  # Traefik
        return "ns"
    if name == "duration" and "responsecode" in found:  # Envoy
        return "ms"
    if name == "timetaken" and "csuristem" in found:  # W3C: seconds at CloudFront, milliseconds at IIS
        return "s" if "xedgelocation" in found else "ms" if "scwin32status" in found else ""
    return _COST_UNITS.get(name, "")


def _time_s(columns: Columns, values: Sequence[object]) -> float:
    if columns.date < 0:
        return time_s_of(values[columns.time], columns.time_unit)
    if columns.date == columns.time:  # a number such as 20251010 is no time
        return log_time_s(_text(values, columns.date))
    return time_s_of(f"{_text(values, columns.date)} {_text(values, columns.time)}")


def _status(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) <= 3 else None


def _text(values: Sequence[object], column: int) -> str:
    """Return the value of a column as a text; "" for one that is missing."""
    value = values[column] if 0 <= column < len(values) else None
    if isinstance(value, str):
        return value.strip()
    return "" if value is None or isinstance(value, dict | list) else repr(value)
