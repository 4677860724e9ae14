"""Jobs for RQ: one for each key, on the connection that RQ already has."""

import time

import orjson
from rq import get_current_job

from measuring.warming.warming_tasks import TTL_S, WAIT_S, value_of


def key_of(number: int) -> str:
    return f"plain:{number}"


def compute_and_set(number: int) -> None:
    """Compute a value and cache it."""
    job = get_current_job()
    assert job is not None
    job.connection.set(key_of(number), orjson.dumps(value_of(number)), ex=TTL_S)


def wait_and_set(number: int) -> None:
    """Compute a value that takes a wait, and cache it."""
    time.sleep(WAIT_S)
    compute_and_set(number)
