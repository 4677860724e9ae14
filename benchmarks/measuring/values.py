"""The values that the benchmarks cache: JSON of an exact size, shaped like a page of records from a database."""

from typing import Any

import orjson

NAMES = ("Filter coffee", "Espresso", "Oolong tea", "Cocoa", "Almond biscuit", "Rye bread", "Plum jam")


def value_of(size_bytes: int) -> dict[str, Any]:
    """Return a value whose JSON has exactly that many bytes (at least 24)."""
    records: list[dict[str, Any]] = []
    while _json_bytes(_page([*records, _record(len(records))], "")) <= size_bytes:
        records.append(_record(len(records)))
    padding = size_bytes - _json_bytes(_page(records, ""))
    return _page(records, "x" * padding)


def _page(records: list[dict[str, Any]], note: str) -> dict[str, Any]:
    return {"records": records, "note": note}


def _record(number: int) -> dict[str, Any]:
    """Return a record that shares nothing with another: pickle would keep what is shared only once."""
    name = NAMES[number % len(NAMES)]
    price = round(1 + number * 7.31 % 90, 2)
    stock = number * 37 % 500
    return {"id": 1000 + number, "name": f"{name} no. {number}", "price": price, "stock": stock, "fair": stock > 250}


def _json_bytes(value: Any) -> int:
    return len(orjson.dumps(value))
