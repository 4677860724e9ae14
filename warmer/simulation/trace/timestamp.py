"""Parser of the times in traces: numbers of any usual unit, ISO 8601, and the times of web servers' logs.

A time that cannot be meant is refused, because one such line would change the time span of a trace, and all results.
"""

import re
from calendar import timegm
from datetime import UTC, datetime
from functools import lru_cache

MIN_S, MAX_S = -1e8, 4_102_444_800.0
"""Seconds: three years before any origin, and the year 2100 of the Unix epoch."""
MIN_EPOCH_S = 788_918_400.0
"""The year 1995. Times in smaller units than seconds are recognised from here on; earlier ones are no Unix times."""
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

_NUMBER = re.compile(r"[+-]?\d{1,40}(?:\.\d{0,40})?")
_SCIENTIFIC = re.compile(r"[+-]?\d(?:\.(?P<decimals>\d{0,40}))?[eE](?P<exponent>[+-]?\d{1,3})")
_LOG_TIME = re.compile(
    r"(?P<day>\d\d/[A-Z][a-z][a-z]/\d{4})[: ](?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d)(?P<fraction>[.,]\d{1,9})?"
    r"(?: ?(?P<zone>[+-]\d\d:?\d\d|Z))?"
)
_ISO_TIME = re.compile(
    r"\d{4}([-/])\d\d\1\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?: ?(?:Z|[+-]\d\d:?\d\d|UTC|GMT))?"
    r"|\d{8}T\d{6}(?:[.,]\d{1,9})?(?:Z|[+-]\d{4})?"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def time_s_of(value: object, unit: str = "") -> float:
    """Return a time in seconds; times without a zone are UTC.

    Args:
        value: A number, or its text, or a text such as ``2025-10-10T13:55:36Z`` or ``10/Oct/2025:13:55:36 -0700``.
        unit: The unit of numbers: s, ms, us or ns; "" to recognise it by the size of Unix times.

    Raises:
        ValueError: it is no time, a day without a time of day, or too far from any possible time.

    Example:
        >>> time_s_of("1760129736250"), time_s_of("10/Oct/2025:13:55:36 -0700"), time_s_of("7.5")
        (1760129736.25, 1760129736.0, 7.5)
    """
    if isinstance(value, str):
        text = value.strip()
        return _in_seconds(text, unit) if text[:1].isdigit() or text[:1] in "+-." else _refuse(text)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _in_seconds(repr(value), unit)
    return _refuse(value)


def unit_of(value: object) -> str:
    """Return the unit in which `time_s_of` takes a number; "" for a text that is no number.

    Example:
        >>> unit_of("1760129736250"), unit_of("7.5"), unit_of("2025-10-10T13:55:36Z")
        ('ms', 's', '')
    """
    try:
        number = float(str(value))
    except ValueError:
        return ""
    return _unit_by_size(number) or "s"


def log_time_s(text: str) -> float:
    """Return the time in brackets of a web server's log, in seconds.

    Raises:
        ValueError: it is no such time, or no such day exists.
    """
    found = _LOG_TIME.fullmatch(text)
    if found is None:
        return _iso_time_s(text)
    day, hours, minutes, seconds, fraction, zone = found.groups()
    if hours > "23" or minutes > "59" or seconds > "60":
        return _refuse(text)
    midnight_s = _midnight_s(day, zone or "Z")
    whole_s = midnight_s + 3600 * int(hours) + 60 * int(minutes) + int(seconds)
    return _checked(whole_s + float(f"0.{fraction[1:]}") if fraction else float(whole_s), text)


def _in_seconds(text: str, unit: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return log_time_s(text)
    if _NUMBER.fullmatch(text) is None and not _is_exact(text):
        return _refuse(text)
    scale = UNITS[unit or _unit_by_size(number) or "s"]
    if scale == 1:
        return _checked(number, text)
    return _checked(int(text) / scale if text.isdecimal() else number / scale, text)


def _unit_by_size(number: float) -> str:
    return next((unit for unit, scale in UNITS.items() if MIN_EPOCH_S * scale <= number < MAX_S * scale), "")


def _is_exact(text: str) -> bool:
    """Return whether a number in scientific notation has all its digits; spreadsheets drop those of Unix times."""
    found = _SCIENTIFIC.fullmatch(text)
    return found is not None and int(found["exponent"]) <= len(found["decimals"] or "")


def _iso_time_s(text: str) -> float:
    if _ISO_TIME.fullmatch(text) is None:
        return _refuse(text)
    plain = text.replace("/", "-").replace(",", ".").removesuffix("UTC").removesuffix("GMT").rstrip()
    try:
        moment = datetime.fromisoformat(plain if plain[-6:-5] != " " else plain[:-6] + plain[-5:])
    except ValueError:
        return _refuse(text)
    return _checked((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(), text)


@lru_cache(maxsize=64)
def _midnight_s(day: str, zone: str) -> int:
    number, month, year = day.split("/")
    try:
        date = datetime(int(year), _MONTHS.index(month) + 1, int(number), tzinfo=UTC)
    except ValueError:
        return int(_refuse(day))
    digits = zone.replace(":", "")
    east_s = 0 if zone == "Z" else 3600 * int(digits[1:3]) + 60 * int(digits[3:5])
    return timegm(date.timetuple()) + (east_s if zone[0] == "-" else -east_s)


def _checked(time_s: float, text: str) -> float:
    if MIN_S <= time_s < MAX_S:
        return time_s
    return _refuse(text)


def _refuse(value: object) -> float:
    raise ValueError(
        "expected a time from 1970 to 2100: in s, ms, us or ns, as 2025-10-10T13:55:36Z or as "
        f"10/Oct/2025:13:55:36 +0000, got {str(value)[:40]!r}"
    )
