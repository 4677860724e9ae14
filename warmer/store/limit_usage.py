"""Reads how much of each limit is used at this moment; it changes nothing."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from warmer.errors import SettingsError
from warmer.store.keys import Keys
from warmer.tasks.limit import Limit

ONE_AT_A_TIME = Limit(concurrency=1)
"""What the scripts make of a limit that they cannot read."""


class LimitInUse(NamedTuple):
    """A declared limit, and what runs under it.

    Args:
        name: Its name.
        limit: What was declared.
        held: Slots that workers hold.
        guests: Computations of readers.
        tokens: How many computations the rate lets begin now; None without a rate.
    """

    name: str
    limit: Limit
    held: int
    guests: int
    tokens: float | None


def limits_in_use(control: Any, keys: Keys) -> list[LimitInUse]:
    """Return all declared limits, by name.

    Args:
        control: Client of the control server.
        keys: The namespace's.

    Raises:
        redis.RedisError: Redis did not answer.
    """
    pipeline = control.pipeline(transaction=False)
    pipeline.time()
    pipeline.hgetall(keys.limits)
    pipeline.hgetall(keys.token_buckets)
    (seconds, micros), declared, buckets = pipeline.execute()
    if not declared:
        return []
    now_ms, names = seconds * 1000 + micros // 1000, sorted(declared)
    for name in names:
        pipeline.zcount(keys.limit_holders + name.decode(), f"({now_ms}", "+inf")
        pipeline.hvals(keys.reader_usage + name.decode())
    answers = pipeline.execute()
    return [
        _in_use(name, declared, buckets, held, reports, now_ms)
        for name, held, reports in zip(names, answers[::2], answers[1::2], strict=True)
    ]


def tokens_left(rate_per_s: float, bucket: bytes | None, now_ms: int) -> float:
    """Return how many computations a rate lets begin now; below 0 while readers have begun more than it allows.

    Args:
        rate_per_s: The rate.
        bucket: What was left when one last began, as "tokens|at_ms"; None if none ever did.
        now_ms: The server's time.

    Example:
        >>> tokens_left(10.0, b"-5|1000", 1200), tokens_left(10.0, b"-5|1000", 9000), tokens_left(0.5, None, 1000)
        (-3.0, 10.0, 1.0)
    """
    burst = max(1.0, rate_per_s)
    if bucket is None:
        return burst
    tokens, _, at_ms = bucket.partition(b"|")
    return min(burst, float(tokens) + max(0, now_ms - int(at_ms)) * rate_per_s / 1000)


def _in_use(
    name: bytes, declared: Mapping[bytes, bytes], buckets: Mapping[bytes, bytes], held: int, reports: Any, now_ms: int
) -> LimitInUse:
    limit = _limit_of(declared[name])
    rate_per_s = limit.rate_per_s
    tokens = None if rate_per_s is None else tokens_left(rate_per_s, buckets.get(name), now_ms)
    return LimitInUse(name.decode(), limit, held, _running(reports, now_ms), tokens)


def _limit_of(text: bytes) -> Limit:
    try:
        fields = orjson.loads(text)
        return Limit(**{name: fields[name] for name in Limit.model_fields if name in fields})
    except (orjson.JSONDecodeError, SettingsError, TypeError):
        return ONE_AT_A_TIME


def _running(reports: Iterable[bytes], now_ms: int) -> int:
    """Return how many computations processes have reported, of those that were heard of lately."""
    each = (report.split(b"|") for report in reports)
    return sum(int(running) for running, until_ms, _ in each if int(until_ms) > now_ms)
