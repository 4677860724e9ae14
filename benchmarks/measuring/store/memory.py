"""Memory of a server's data, in all and by key."""

from collections.abc import Mapping
from typing import Any

WITHOUT_HISTOGRAMS = ("--latency-tracking", "no")
"""A server's options: one of 50 KB for each command that was ever used is no data, but would be counted as such."""

SAMPLES = 1000
"""Members of a key that are looked at; what all of them take is estimated from these."""


def data_bytes(client: Any) -> int:
    """Return the bytes of all data on a server, without what serves clients and scripts."""
    return int(client.info("memory")["used_memory_dataset"])


def bytes_by_key(client: Any, namespace: str) -> Mapping[str, int]:
    """Return the bytes of each key of a namespace, by its name without the namespace."""
    prefix = f"{namespace}:"
    keys = [key.decode() for key in client.scan_iter(f"{prefix}*", count=1000)]
    return {key.removeprefix(prefix): client.memory_usage(key, samples=SAMPLES) or 0 for key in keys}
