"""A job for plain RQ, in a module that imports quickly, because each work horse of RQ imports it."""

import json

from redis import Redis


def compute() -> dict[str, list[dict[str, object]]]:
    """Return a small value at no cost: the benchmark measures the way to it."""
    return {"rows": [{"carrier": "UA", "delay": 12.5}] * 20}


def compute_and_set(url: str, key: str) -> None:
    """Compute a value and cache it."""
    Redis.from_url(url).set(key, json.dumps(compute()), ex=3600)
