"""Cache entry: a small versioned header, then the value.

The header contains the target's full ref, so that a hit by key can be counted without a look-up, in processes that
never registered the task.
"""

import struct
from enum import IntEnum
from typing import NamedTuple

_HEADER = struct.Struct("<2sBBBQQQQQIH")
_MAGIC = b"wm"
_VERSION = 2
_FIELDS = _HEADER.unpack_from

HEADER_BYTES = _HEADER.size
"""Length of the fixed part; the ref and then the payload follow it."""


class Origin(IntEnum):
    """Origin of a value: computed by a reader after a miss, or by warming."""

    MISS = 0
    WARM = 1


_LAST_ORIGIN = int(max(Origin))


class Header(NamedTuple):
    """Metadata of an entry. All times are in ms since the epoch, by the server's clock.

    Args:
        computed_at_ms: When the computation began, so that the value is never older than this.
        refresh_from_ms: A hit from this time on starts a background refresh; at most `fresh_until_ms`.
        fresh_until_ms: End of freshness; later the value is stale.
        expires_at_ms: When Redis deletes it.
        useful_from_ms: A hit from this time on would have been a miss without this refresh; 0 if a miss computed it.
        compute_us: Duration of the computation, in microseconds.
        origin: Who computed it.
        codec: The codec number of the payload.
        ref: The ref of the target; empty for a key without a task.
    """

    computed_at_ms: int
    refresh_from_ms: int
    fresh_until_ms: int
    expires_at_ms: int
    useful_from_ms: int
    compute_us: int
    origin: int
    codec: int
    ref: bytes

    @property
    def task_id(self) -> bytes:
        """The id of the target's task; empty for a key without one."""
        return self.ref.partition(b"{")[0]


def pack(header: Header, payload: bytes) -> bytes:
    """Encode an entry.

    Example:
        >>> header = Header(1, 2, 2, 2, 0, 5, Origin.WARM, 1, b"catalog")
        >>> unpack(pack(header, b"{}")) == (header, b"{}")
        True
    """
    fixed = _HEADER.pack(
        _MAGIC,
        _VERSION,
        header.codec,
        header.origin,
        header.computed_at_ms,
        header.refresh_from_ms,
        header.fresh_until_ms,
        header.expires_at_ms,
        header.useful_from_ms,
        min(header.compute_us, 0xFFFFFFFF),
        len(header.ref),
    )
    return fixed + header.ref + payload


def unpack(entry: bytes | memoryview | None) -> tuple[Header, bytes | memoryview] | None:
    """Decode an entry.

    Args:
        entry: The value in Redis, or its first bytes.

    Returns:
        The header and the payload; None if it is not an entry of this version, which readers treat as a miss.

    Example:
        >>> unpack(b"something else") is None
        True
    """
    if entry is None or len(entry) < HEADER_BYTES:
        return None
    magic, version, codec, origin, computed, renew, fresh, expires, useful, compute_us, ref_length = _FIELDS(entry)
    if magic != _MAGIC or version != _VERSION or origin > _LAST_ORIGIN:
        return None
    ref_end = HEADER_BYTES + ref_length
    ref = bytes(entry[HEADER_BYTES:ref_end])
    return Header(computed, renew, fresh, expires, useful, compute_us, origin, codec, ref), entry[ref_end:]
