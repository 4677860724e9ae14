"""The recorder: it has the signature of its function, records calls, and returns, raises or computes."""

import asyncio
import inspect
from datetime import date

import pytest

from warmer.testing import Recorder

pytest_plugins = ["pytester", "warmer.testing"]


class DatabaseAwayError(Exception):
    """What a user's own code raises."""


# --- the recorder ------------------------------------------------------------------------------------------------
def price(product_id: int, currency: str = "EUR") -> str:
    return f"{product_id} {currency}"


def test_a_recorder_has_the_signature_of_its_function():
    recorder = Recorder.of(price)
    assert inspect.signature(recorder) == inspect.signature(price)
    assert (recorder.__name__, recorder.__module__) == ("price", __name__)


def test_calls_are_recorded_with_their_arguments_by_name():
    recorder = Recorder.of(price)
    assert [recorder(1), recorder(2, "USD"), recorder(product_id=3)] == ["1 EUR", "2 USD", "3 EUR"]
    assert recorder.calls == [
        {"product_id": 1, "currency": "EUR"},
        {"product_id": 2, "currency": "USD"},
        {"product_id": 3, "currency": "EUR"},
    ]
    assert recorder.count == 3
    assert repr(recorder) == "<Recorder of price: 3 calls>"


def test_a_call_that_does_not_fit_the_signature_fails_as_the_functions_own_would():
    recorder = Recorder.of(price)
    with pytest.raises(TypeError, match="product_id"):
        recorder()
    assert recorder.calls == []


def test_a_recorder_does_what_it_was_told_last():
    recorder = Recorder.of(price)
    assert recorder.returns("free")(1) == "free"
    with pytest.raises(DatabaseAwayError):
        recorder.raises(DatabaseAwayError)(1)
    assert recorder.computes(lambda product_id, currency: [product_id, currency])(1) == [1, "EUR"]
    assert recorder.count == 3


def test_gathered_arguments_are_recorded_too():
    recorder = Recorder.of(lambda *ids, **options: (ids, options))
    assert recorder(1, 2, order="asc") == ((1, 2), {"order": "asc"})
    assert recorder.calls == [{"ids": (1, 2), "order": "asc"}]


def test_an_async_recorder_is_awaited(warmer_async_recorder):
    async def ten_times(n: int) -> int:
        return 10 * n

    assert asyncio.run(warmer_async_recorder.returns(42)(n=1)) == 42
    assert asyncio.run(warmer_async_recorder.computes(ten_times)(n=7)) == 70
    assert asyncio.run(Recorder.of(ten_times)(8)) == 80
    with pytest.raises(DatabaseAwayError):
        asyncio.run(warmer_async_recorder.raises(DatabaseAwayError())(n=1))
    assert warmer_async_recorder.calls == [{"n": 1}, {"n": 7}, {"n": 1}]


def test_a_recorder_of_a_warmed_function_computes_rather_than_reads(memory_warmer):
    warmed = memory_warmer.warmed("price:{product_id}:{currency}", ttl=60)(price)
    recorder = Recorder.of(warmed)
    assert (recorder(1), recorder(1), warmed.get(1)) == ("1 EUR", "1 EUR", None)


def test_values_are_rebuilt_by_the_annotation_of_the_recorded_function(memory_warmer):
    def born(user_id: int) -> date:
        return date(2000, 1, user_id)

    recorder = Recorder.of(born)
    birthday = memory_warmer.warmed("born:{user_id}", ttl=60)(recorder)
    assert [birthday("7"), birthday(7)] == [date(2000, 1, 7)] * 2
    assert recorder.calls == [{"user_id": 7}]


def test_a_recorder_fits_any_key(memory_warmer, warmer_recorder, warmer_async_recorder):
    plain = memory_warmer.warmed("plain:{a}:{b}", ttl=60)(warmer_recorder.returns("plain"))
    later = memory_warmer.warmed("later:{a}", ttl=60)(warmer_async_recorder.returns("later"))
    assert (plain(a=1, b=2), asyncio.run(later(a=3))) == ("plain", "later")
    assert (warmer_recorder.calls, warmer_async_recorder.calls) == ([{"a": 1, "b": 2}], [{"a": 3}])
