"""Compresses payloads by zstd, and never decompresses more than Redis could have held."""

import zstandard

from warmer.errors import CodecError

MAX_DECOMPRESSED_BYTES = 512 * 1024 * 1024
"""The longest string that Redis stores: no payload was ever longer."""


def compressed(payload: bytes) -> bytes | None:
    """Return a payload as one zstd frame; None if that would not make it smaller.

    Example:
        >>> len(compressed(b"warm" * 1000)) < 100, compressed(b"warm")
        (True, None)
    """
    frame = zstandard.compress(payload)
    return frame if len(frame) < len(payload) else None


def decompressed(frame: bytes | memoryview) -> bytes:
    """Return the payload that a frame holds.

    Args:
        frame: What `compressed` returned.

    Raises:
        CodecError: this is not one whole frame that says its length, or it claims more than 512 MB.

    Example:
        >>> decompressed(compressed(b"warm" * 1000)) == b"warm" * 1000
        True
    """
    try:
        claimed_bytes = zstandard.frame_content_size(frame)
        if claimed_bytes < 0:
            raise CodecError("an entry's compressed payload does not say how long it is")
        if claimed_bytes > MAX_DECOMPRESSED_BYTES:
            raise CodecError(f"an entry's compressed payload claims {claimed_bytes} bytes, more than was ever stored")
        return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CodecError(f"an entry's compressed payload cannot be decompressed: {error}") from None
