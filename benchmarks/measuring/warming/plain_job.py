"""What a job of one's own would do, in a module that is quick to import: RQ's work horse does so each time."""

import json

from redis import Redis


def compute() -> dict[str, list[dict[str, object]]]:
    """Compute nothing much: what is measured is the way there."""
    return {"rows": [{"carrier": "UA", "delay": 12.5}] * 20}


def compute_and_set(url: str, key: str) -> None:
    """Compute a value and cache it."""
    Redis.from_url(url).set(key, json.dumps(compute()), ex=3600)
