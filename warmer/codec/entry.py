"""The bytes of a cache entry: a small versioned header, then the value.

The header carries the full canonical text of the target (its ref) and not only a digest of it: a hit by
key then knows which target it was, with no look-up, so that reads can be counted in processes that never
registered the task.
"""

import struct
from enum import IntEnum
from typing import NamedTuple

_HEADER = struct.Struct("<2sBBBQQQQQIH")
_MAGIC = b"wm"
_VERSION = 2
_FIELDS = _HEADER.unpack_from

HEADER_BYTES = _HEADER.size
"""Length of the fixed part; the target's ref and then the payload follow it."""


class Origin(IntEnum):
    """Who computed a value: a reader that had missed, or warming."""

    MISS = 0
    WARM = 1


_LAST_ORIGIN = int(max(Origin))


class Header(NamedTuple):
    """What an entry says about its value; all times in milliseconds since the epoch, by the server's clock.

    Args:
        computed_at_ms: When the computation began, so that no value is older than it says.
        renew_from_ms: From when on a read has it refreshed behind its back; at the latest when freshness ends.
        fresh_until_ms: Until when the value is fresh.
        expires_at_ms: Until when Redis keeps it.
        useful_from_ms: A hit from this moment on would have been a miss without this refresh; 0 for a miss's value.
        compute_us: How long the computation took, in microseconds.
        origin: Who computed it.
        codec: The number of the codec that wrote the payload.
        ref: Canonical text of the target; empty for a key without a task.
    """

    computed_at_ms: int
    renew_from_ms: int
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
    """Return the bytes of an entry.

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
        header.renew_from_ms,
        header.fresh_until_ms,
        header.expires_at_ms,
        header.useful_from_ms,
        min(header.compute_us, 0xFFFFFFFF),
        len(header.ref),
    )
    return fixed + header.ref + payload


def unpack(entry: bytes | memoryview | None) -> tuple[Header, bytes | memoryview] | None:
    """Return an entry's header and payload; None for anything that is not an entry of this version.

    Args:
        entry: What Redis holds under the entry's key, or only its beginning.

    Returns:
        The header and the payload; what cannot be read is a miss, never an error.

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
