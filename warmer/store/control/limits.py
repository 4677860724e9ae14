"""Named limits in Redis: those that are declared, and how much of each is used."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from warmer.errors import SettingsError
from warmer.store.control.operations import ControlOperations
from warmer.store.token_bucket import TokenBucket
from warmer.tasks.limit import Limit

ONE_AT_A_TIME = Limit(concurrency=1)
"""Holds in place of a limit that nobody declared, or that cannot be read."""


class LimitInUse(NamedTuple):
    """A declared limit, and what runs under it.

    Args:
        name: Its name.
        limit: What was declared.
        slots: Slots that workers hold.
        readers: Computations of readers.
        tokens: How many computations the rate admits now, below 0 while readers have begun more; None without a rate.
    """

    name: str
    limit: Limit
    slots: int
    readers: int
    tokens: float | None


class Limits(ControlOperations):
    """The limits of the fleet."""

    def declare(self, limits: Mapping[str, bytes]) -> None:
        """Declare limits, each by its name as JSON; the latest declaration of a name holds."""
        if limits:
            self._client.hset(self._keys.limits, mapping=dict(limits))

    def declared(self) -> set[str]:
        """Return the names of all limits that any process has declared."""
        return {name.decode() for name in self._client.hkeys(self._keys.limits)}

    def in_use(self) -> list[LimitInUse]:
        """Return all declared limits by name, and how much of each is used now; changes nothing."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.time()
        pipeline.hgetall(self._keys.limits)
        pipeline.hgetall(self._keys.token_buckets)
        (seconds, micros), declared, buckets = pipeline.execute()
        if not declared:
            return []
        now_ms, names = seconds * 1000 + micros // 1000, sorted(declared)
        for name in names:
            pipeline.zcount(self._keys.limit_holders + name.decode(), f"({now_ms}", "+inf")
            pipeline.hvals(self._keys.reader_usage + name.decode())
        answers = pipeline.execute()
        return [
            _in_use(name.decode(), _limit(declared[name]), buckets.get(name), slots, reports, now_ms)
            for name, slots, reports in zip(names, answers[::2], answers[1::2], strict=True)
        ]

    def report_reader_usage(self, process: str, timeout_ms: int, reports: Sequence[str | int]) -> object:
        """Take in a report of what the readers of a process compute under limits.

        Args:
            process: Random id of the process.
            timeout_ms: Time without a report, in ms, after which the process counts as dead.
            reports: For each limit four values; see `warmer.refresh.reader_usage`.

        Returns:
            How many reports were taken in.
        """
        return self._scripts.run("reader_usage", process, timeout_ms, *reports)


def _in_use(name: str, limit: Limit, bucket: bytes | None, slots: int, reports: Any, now_ms: int) -> LimitInUse:
    tokens = None if limit.rate_per_s is None else _bucket(limit.rate_per_s, bucket, now_ms).tokens_at(now_ms / 1000)
    return LimitInUse(name, limit, slots, _running(reports, now_ms), tokens)


def _bucket(rate_per_s: float, text: bytes | None, now_ms: int) -> TokenBucket:
    if text is None:
        return TokenBucket.full(rate_per_s, now_ms / 1000)
    tokens, _, at_ms = text.partition(b"|")
    return TokenBucket(rate_per_s, float(tokens), int(at_ms) / 1000)


def _limit(text: bytes) -> Limit:
    try:
        fields = orjson.loads(text)
        return Limit(**{name: fields[name] for name in Limit.model_fields if name in fields})
    except (orjson.JSONDecodeError, SettingsError, TypeError):
        return ONE_AT_A_TIME


def _running(reports: Iterable[bytes], now_ms: int) -> int:
    """Return how many computations processes have reported, of those that were heard of lately."""
    fields = (report.split(b"|") for report in reports)
    return sum(int(running) for running, until_ms, _ in fields if int(until_ms) > now_ms)
