"""Parser of CSV traces: `time_s,key[,reads[,cost_s]]`."""

from collections.abc import Sequence
from math import inf

from warmer.simulation.trace.trace import Row

COLUMNS = ("time_s", "key", "reads", "cost_s")


def columns_of(fields: Sequence[str]) -> list[int] | None:
    """Return the column numbers of time, key, reads and cost in a header line; None for another line.

    Args:
        fields: The fields of the first line. Columns may come in any order, and among others.

    Returns:
        Four column numbers; one beyond the line for a column that is missing.

    Example:
        >>> columns_of(["key", "time_s", "reads"])
        [1, 0, 2, 3]
        >>> columns_of(["0.5", "/index.html"]) is None
        True
    """
    names = [field.strip().lower() for field in fields]
    if "time_s" not in names and "key" not in names:
        return None
    return [names.index(column) if column in names else len(names) for column in COLUMNS]


def row_of(fields: Sequence[str], columns: Sequence[int] = range(4)) -> Row:
    """Return the row in the fields of one line.

    Args:
        fields: The fields of the line.
        columns: Column numbers of time, key, reads and cost. Missing reads are 1, a missing cost is unknown.

    Raises:
        ValueError: A field cannot be parsed.

    Example:
        >>> row_of(["7", "/index.html", "2"])
        Row(time_s=7.0, key='/index.html', reads=2, cost_s=None)
    """
    time_at, key_at, reads_at, cost_at = columns
    count = len(fields)
    key = fields[key_at].strip() if key_at < count else ""
    if not key or time_at >= count:
        raise ValueError("expected a time and a key")
    reads = fields[reads_at].strip() if reads_at < count else ""
    cost_s = fields[cost_at].strip() if cost_at < count else ""
    return Row(
        _number("time_s", fields[time_at], -inf),
        key,
        _whole(reads) if reads else 1,
        _number("cost_s", cost_s, 0.0) if cost_s else None,
    )


def _number(name: str, text: str, least: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = inf
    if not least <= number < inf or number == -inf:
        raise ValueError(f"expected {name} as a number of seconds, got {text!r}")
    return number


def _whole(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"expected reads as a whole number from 1, got {text!r}")
    return number
