"""Compressed payloads come back, and no frame makes a reader take more memory than Redis could have held."""

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from warmer.codec.compression import MAX_DECOMPRESSED_BYTES, compressed, decompressed, max_decompressed_bytes
from warmer.errors import CodecError


@given(st.binary(max_size=200).map(lambda data: data * 20))
def test_whatever_is_compressed_is_smaller_and_comes_back(payload):
    frame = compressed(payload)
    if frame is None:
        assert len(zstandard.compress(payload)) >= len(payload)
    else:
        assert len(frame) < len(payload)
        assert decompressed(memoryview(frame)) == payload


FRAME = zstandard.compress(b"warm" * 1000)


@pytest.mark.parametrize("frame", [b"", b"x", FRAME[:4], FRAME[:-1], FRAME + b"x", FRAME + FRAME, b"x" + FRAME])
def test_what_is_not_one_whole_frame_is_a_codec_error(frame):
    with pytest.raises(CodecError, match="an entry's compressed payload"):
        decompressed(frame)


def test_a_frame_that_does_not_say_its_size_is_a_codec_error():
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(b"warm" * 1000)
    with pytest.raises(CodecError, match="does not contain its length"):
        decompressed(frame)


def test_a_frame_that_claims_more_than_redis_holds_is_refused_before_it_is_read():
    claims = b"\x28\xb5\x2f\xfd\xe0" + (MAX_DECOMPRESSED_BYTES + 1).to_bytes(8, "little") + b"\x01\x00\x00"
    assert zstandard.frame_content_size(claims) == MAX_DECOMPRESSED_BYTES + 1
    with pytest.raises(CodecError, match="claims 536870913 bytes"):
        decompressed(claims)


def test_a_frame_of_more_bytes_than_allowed_is_refused_before_it_is_read():
    assert decompressed(FRAME, 4000) == b"warm" * 1000
    with pytest.raises(CodecError, match="claims 4000 bytes, more than the 3999 that are allowed"):
        decompressed(FRAME, 3999)


@pytest.mark.parametrize(
    ("max_value_bytes", "mebibytes"), [(1, 64), (1024**2, 64), (3 * 1024**2, 192), (8 * 1024**2, 512), (1024**4, 512)]
)
def test_the_bound_is_64_times_the_limit_between_64_and_512_mib(max_value_bytes, mebibytes):
    assert max_decompressed_bytes(max_value_bytes) == mebibytes * 1024**2
