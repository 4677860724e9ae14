"""Exceptions that cross processes: only classes that the task names come back as themselves."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer.codec.cached_error import MAX_BYTES, is_of, lifetime_s, name_of, pack, restored
from warmer.errors import ComputationFailedError


class NotFoundError(Exception):
    pass


class GoneError(NotFoundError):
    pass


class PickyError(Exception):
    def __new__(cls, number: object) -> "PickyError":
        if not isinstance(number, int):
            raise TypeError("a number was expected")
        return super().__new__(cls, number)

    def __init__(self, number: int) -> None:
        super().__init__(f"number {number}")


plain_arguments = st.lists(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(st.characters(exclude_categories=["Cs"])),
    max_size=4,
)


@given(plain_arguments)
def test_a_named_exception_comes_back_with_its_arguments(arguments):
    packed = pack(NotFoundError(*arguments), {NotFoundError: 30})
    back = restored(packed, {NotFoundError: 30})
    assert type(back) is NotFoundError
    if b"://" not in packed and len(packed) < MAX_BYTES and back.args != tuple(arguments):
        assert any(isinstance(argument, str) and "@" in argument for argument in arguments), "credentials are masked"


@given(st.lists(st.text() | st.floats() | st.binary() | st.integers() | st.lists(st.text()), max_size=3))
def test_whatever_was_raised_can_be_packed_and_restored(arguments):
    for known in ({}, {NotFoundError: 30}, {Exception: 5}):
        packed = pack(NotFoundError(*arguments), known)
        assert len(packed) <= MAX_BYTES
        assert isinstance(restored(packed, known), Exception)


@given(st.binary(max_size=200))
def test_whatever_stands_in_redis_is_an_exception_and_never_a_crash(packed):
    assert isinstance(restored(packed, {NotFoundError: 30}), ComputationFailedError)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_records_of_any_shape_are_no_crash_either(record):
    whole = {"kind": name_of(NotFoundError), "arguments": record, "message": record}
    for packed in (record, {"kind": record, "arguments": record, "message": "x"}, whole):
        try:
            bytes_ = orjson.dumps(packed)
        except TypeError:  # beyond what JSON holds
            continue
        assert isinstance(restored(bytes_, {NotFoundError: 30}), Exception)


def test_the_nearest_named_class_is_raised_again():
    assert type(restored(pack(GoneError("x"), {NotFoundError: 30}), {NotFoundError: 30})) is NotFoundError
    both = {NotFoundError: 30, GoneError: 5}
    assert type(restored(pack(GoneError("x"), both), both)) is GoneError


def test_what_is_not_named_is_quoted():
    back = restored(pack(KeyError("no such product"), {}), {NotFoundError: 30})
    assert isinstance(back, ComputationFailedError)
    assert "KeyError: 'no such product'" in str(back)


def test_a_class_that_cannot_be_made_again_is_quoted():
    packed = pack(PickyError(7), {PickyError: 30})
    back = restored(packed, {PickyError: 30})
    assert isinstance(back, ComputationFailedError)
    assert "number 7" in str(back)


def test_a_constructor_has_its_say_only_once():
    class OrderError(Exception):
        def __init__(self, order_id: int) -> None:
            super().__init__(f"no order {order_id}")
            self.order_id, self.found_by = order_id, object()

    back = restored(pack(OrderError(7), {OrderError: 30}), {OrderError: 30})
    assert (type(back), str(back), back.order_id) == (OrderError, "no order 7", 7)
    assert not hasattr(back, "found_by"), "what is not plain stays behind"


def test_a_failure_is_heeded_only_by_its_own_target():
    packed = pack(KeyError(), {}, 'product{"n":42}')
    assert is_of(packed, 'product{"n":42}')
    assert not is_of(packed, 'product{"n":"42"}')
    assert not is_of(pack(KeyError(), {}), "product")


@pytest.mark.parametrize("error", [NotFoundError("x" * 100_000), NotFoundError("lone \ud800"), NotFoundError(2**100)])
def test_what_is_too_much_for_a_record_is_kept_by_what_it_said(error):
    back = restored(pack(error, {NotFoundError: 30}), {NotFoundError: 30})
    assert type(back) is NotFoundError
    assert back.args[0].startswith("NotFoundError: ")


def test_credentials_are_masked():
    packed = pack(NotFoundError("redis://user:s3cret@db"), {NotFoundError: 30})
    assert b"s3cret" not in packed
    assert b"s3cret" not in pack(KeyError("redis://user:s3cret@db", b"bytes"), {})


def test_an_exception_lasts_as_long_as_its_nearest_class():
    known = {LookupError: 30, Exception: 5}
    assert lifetime_s(KeyError(), known) == 30
    assert lifetime_s(OSError(), known) == 5
    assert lifetime_s(OSError(), {LookupError: 30}) is None
    assert lifetime_s(KeyboardInterrupt(), known) is None
