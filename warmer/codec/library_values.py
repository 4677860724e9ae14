"""Advice for values of well-known libraries that no codec can rebuild: data frames, arrays and database rows.

The classes are recognised by their modules and names, so that no library is imported.
"""

from typing import Any

_BY_CLASS = {
    ("pandas", "DataFrame"): 'return df.to_dict("records")',
    ("pandas", "Series"): "return series.to_dict()",
    ("polars", "DataFrame"): "return df.to_dicts()",
    ("polars", "Series"): "return series.to_list()",
    ("numpy", "ndarray"): "return array.tolist()",
    ("sqlalchemy", "Row"): "return [dict(row) for row in result.mappings()]",
    ("sqlalchemy", "RowMapping"): "return [dict(row) for row in result.mappings()]",
    ("asyncpg", "Record"): "return [dict(row) for row in rows]",
    ("sqlite3", "Row"): "return [dict(row) for row in rows]",
    ("django", "QuerySet"): "return list(queryset.values())",
}
_DEPTH = 3


def advice_for(value: object) -> str | None:
    """Return what to return instead of a value of a well-known library, or of one with such values in it.

    Example:
        >>> import sqlite3
        >>> connection = sqlite3.connect(":memory:")
        >>> connection.row_factory = sqlite3.Row
        >>> advice_for(connection.execute("SELECT 1 AS one").fetchall())
        'return [dict(row) for row in rows]'
    """
    for _ in range(_DEPTH):
        found = _advice_for_class(type(value))
        if found is not None:
            return found
        value = _first_in(value)
    return None


def _advice_for_class(of: type[Any]) -> str | None:
    for base in of.__mro__:
        found = _BY_CLASS.get((base.__module__.partition(".")[0], base.__name__))
        if found is not None:
            return found
        if base.__module__ == "django.db.models.base":
            return "return list(queryset.values()), or a dict of the fields"
    if hasattr(of, "__mapper__"):  # a mapped class of SQLAlchemy
        return "select columns instead of objects, and return [dict(row) for row in result.mappings()]"
    return None


def _first_in(value: object) -> object:
    """Return the first element of a plain container; None without one."""
    if type(value) is dict:
        return next(iter(value.values()), None)
    return next(iter(value), None) if type(value) in (list, tuple, set) else None  # type: ignore[call-overload]
