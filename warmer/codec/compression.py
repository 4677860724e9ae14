"""Zstd compression of payloads, with a limit on the decompressed size."""

import zstandard

from warmer.errors import CodecError

MAX_DECOMPRESSED_BYTES = 512 * 1024 * 1024
"""The maximum length of a string in Redis."""

_MIN_LIMIT_BYTES = 64 * 1024 * 1024
_MAX_RATIO = 64


def max_decompressed_bytes(max_value_bytes: int) -> int:
    """Return 64 times a maximum stored size, but at least 64 MiB and at most 512 MiB, in bytes."""
    return min(max(_MIN_LIMIT_BYTES, _MAX_RATIO * max_value_bytes), MAX_DECOMPRESSED_BYTES)


def compressed(payload: bytes) -> bytes | None:
    """Compress a payload into one zstd frame; None if that saves nothing.

    Example:
        >>> len(compressed(b"warm" * 1000)) < 100, compressed(b"warm")
        (True, None)
    """
    frame = zstandard.compress(payload)
    return frame if len(frame) < len(payload) else None


def decompressed(frame: bytes | memoryview, max_bytes: int = MAX_DECOMPRESSED_BYTES) -> bytes:
    """Decompress a frame of `compressed`.

    Args:
        frame: One zstd frame that contains its decompressed size.
        max_bytes: Maximum size of the payload.

    Raises:
        CodecError: it is not such a frame, or its payload is larger than allowed.

    Example:
        >>> decompressed(compressed(b"warm" * 1000)) == b"warm" * 1000
        True
    """
    try:
        claimed_bytes = zstandard.frame_content_size(frame)
        if claimed_bytes < 0:
            raise CodecError("an entry's compressed payload does not contain its length")
        if claimed_bytes > max_bytes:
            raise CodecError(
                f"an entry's compressed payload claims {claimed_bytes} bytes, "
                f"more than the {max_bytes} that are allowed"
            )
        return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CodecError(f"an entry's compressed payload cannot be decompressed: {error}") from None
