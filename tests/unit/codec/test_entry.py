"""Entries: they round-trip, and whatever else stands in Redis is a miss."""

import uuid
from datetime import UTC, datetime
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmer import CodecError
from warmer.codec import decode, encode
from warmer.codec.entry import HEADER_BYTES, Header, Origin, pack, unpack


class Colour(Enum):
    RED = "red"


moments = st.integers(0, 2**63)
headers = st.builds(
    Header,
    computed_at_ms=moments,
    refresh_from_ms=moments,
    fresh_until_ms=moments,
    expires_at_ms=moments,
    useful_from_ms=moments,
    compute_us=st.integers(0, 2**32 - 1),
    origin=st.sampled_from(Origin),
    codec=st.integers(0, 255),
    ref=st.binary(max_size=1024),
)


@given(headers, st.binary(max_size=200))
def test_entries_round_trip(header, payload):
    assert unpack(pack(header, payload)) == (header, payload)


@given(st.binary(max_size=300))
def test_anything_else_is_a_miss(data):
    assert unpack(data) is None or data.startswith(b"wm\x02")


@given(headers, st.binary(max_size=20), st.integers(0, HEADER_BYTES - 1))
def test_a_truncated_header_is_a_miss(header, payload, length):
    assert unpack(pack(header, payload)[:length]) is None


def test_another_version_is_a_miss():
    entry = pack(Header(1, 2, 2, 2, 0, 0, Origin.WARM, 1, b"r"), b"1")
    assert unpack(entry[:2] + b"\x03" + entry[3:]) is None


def test_a_computation_longer_than_the_field_is_capped():
    header = Header(1, 2, 2, 2, 0, 10**12, Origin.WARM, 1, b"")
    assert unpack(pack(header, b""))[0].compute_us == 2**32 - 1


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_json_values_round_trip(value):
    assert decode(*encode("k", value)) == value


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ((1, 2), "value is a tuple and would come back as a list"),
        ({"rows": [{"at": (1,)}]}, "value['rows'][0]['at'] is a tuple"),
        (float("nan"), "value is a float and would come back as None"),
        ([1.0, float("inf")], "value[1] is a float"),
        (uuid.uuid4(), "value is a UUID"),
        ({"colour": Colour.RED}, "value['colour'] is a Colour"),
    ],
)
def test_what_would_come_back_as_something_else_is_refused_with_its_place(value, words):
    with pytest.raises(CodecError) as refused:
        encode("k", value)
    assert words in str(refused.value)


@pytest.mark.parametrize("value", [object(), {1: "int key"}, {"at": datetime.now(UTC)}, b"x", {1, 2}])
def test_what_json_would_lose_is_refused_by_name(value):
    with pytest.raises(CodecError, match="'dashboards:today' cannot be stored as JSON"):
        encode("dashboards:today", value)


def test_unknown_codecs_and_broken_payloads_are_codec_errors():
    with pytest.raises(CodecError, match="codec 9"):
        decode(9, b"1")
    with pytest.raises(CodecError, match="not JSON"):
        decode(1, b"{")
