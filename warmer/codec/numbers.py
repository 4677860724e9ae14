"""The numbers by which an entry's header names how its payload was written: wire format, never given a new meaning."""

from typing import Final

JSON: Final = 1
MSGPACK: Final = 2
BYTES: Final = 3
PICKLE: Final = 4
ERROR: Final = 5
"""A cached error: an entry of this number holds no value."""

TYPED: Final = 0x40
"""Added to JSON or MSGPACK: has to be rebuilt by the return annotation whose fingerprint begins the payload."""

COMPRESSED: Final = 0x80
"""Added to any: the whole payload is one zstd frame."""
