"""Refused values of well-known libraries come with the words that turn them into plain ones."""

import sqlite3

import pytest

from warmer.codec import Codec
from warmer.errors import CodecError


def look_alike(module, name, *bases):
    return type(name, bases or (object,), {"__module__": module})


class Mapped:
    __mapper__ = object()


ROW = look_alike("sqlalchemy.engine.row", "Row", tuple)
MODEL = look_alike("django.db.models.base", "Model")


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (look_alike("pandas.core.frame", "DataFrame")(), 'return df.to_dict("records")'),
        ({"report": look_alike("polars.dataframe.frame", "DataFrame")()}, "return df.to_dicts()"),
        (look_alike("numpy", "ndarray")(), "return array.tolist()"),
        ([ROW((1, "a"))], "return [dict(row) for row in result.mappings()]"),
        ([Mapped()], "select columns instead of objects, and return [dict(row) for row in result.mappings()]"),
        ([look_alike("shop.models", "Product", MODEL)()], "return list(queryset.values())"),
        (look_alike("django.db.models.query", "QuerySet")(), "return list(queryset.values())"),
    ],
)
@pytest.mark.parametrize("kind", ["json", "msgpack", "bytes"])
def test_the_advice_is_what_to_return(kind, value, advice):
    with pytest.raises(CodecError) as refused:
        Codec(kind).encode("report", value)
    assert advice in str(refused.value)
    assert "codec=" not in str(refused.value)


def test_rows_of_sqlite_are_recognised():
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    with pytest.raises(CodecError, match=r"dict\(row\) for row in rows"):
        Codec().encode("report", connection.execute("SELECT 1").fetchall())
