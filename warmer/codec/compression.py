"""Compresses payloads by zstd, and never decompresses more than it is told to."""

import zstandard

from warmer.errors import CodecError

MAX_DECOMPRESSED_BYTES = 512 * 1024 * 1024
"""The longest string that Redis stores: no payload was ever longer."""

_ALWAYS_DECOMPRESSED_BYTES = 64 * 1024 * 1024
_SHRINKS_AT_MOST = 64


def most_decompressed_bytes(max_value_bytes: int) -> int:
    """Return to how much the payload of a value may be decompressed.

    Args:
        max_value_bytes: The most bytes that it may take as stored, compressed.

    Returns:
        64 times as many bytes, but never less than 64 MiB nor more than 512 MiB.

    Example:
        >>> most_decompressed_bytes(1024) // 1024**2, most_decompressed_bytes(2 * 1024**2) // 1024**2
        (64, 128)
    """
    return min(max(_ALWAYS_DECOMPRESSED_BYTES, _SHRINKS_AT_MOST * max_value_bytes), MAX_DECOMPRESSED_BYTES)


def compressed(payload: bytes) -> bytes | None:
    """Return a payload as one zstd frame; None if that would not make it smaller.

    Example:
        >>> len(compressed(b"warm" * 1000)) < 100, compressed(b"warm")
        (True, None)
    """
    frame = zstandard.compress(payload)
    return frame if len(frame) < len(payload) else None


def decompressed(frame: bytes | memoryview, max_bytes: int = MAX_DECOMPRESSED_BYTES) -> bytes:
    """Return the payload that a frame holds.

    Args:
        frame: What `compressed` returned.
        max_bytes: The most bytes that the payload may have.

    Raises:
        CodecError: this is not one whole frame that says its length, or it claims more bytes than allowed.

    Example:
        >>> decompressed(compressed(b"warm" * 1000)) == b"warm" * 1000
        True
    """
    try:
        claimed_bytes = zstandard.frame_content_size(frame)
        if claimed_bytes < 0:
            raise CodecError("an entry's compressed payload does not say how long it is")
        if claimed_bytes > max_bytes:
            raise CodecError(
                f"an entry's compressed payload claims {claimed_bytes} bytes, "
                f"more than the {max_bytes} that are allowed"
            )
        return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CodecError(f"an entry's compressed payload cannot be decompressed: {error}") from None
