"""Replays every policy on every trace, on all cores."""

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from typing import NamedTuple

from warmer.policy.budget import ExtraCompute
from warmer.policy.threshold import Threshold
from warmer.simulation.policies import FIXED, PRICED, SWEPT
from warmer.simulation.policies.plain import replay_plain
from warmer.simulation.policies.priced import replay_priced
from warmer.simulation.result import Finding, Replayed
from warmer.simulation.trace.by_key import ReadsByKey, reads_by_key_of
from warmer.simulation.trace.trace import Trace


class Comparison(NamedTuple):
    """What is to be compared.

    Args:
        traces: The recorded reads.
        ttls_s: How long values are fresh, in seconds.
        policies: Names of policies.
        extras: Amounts of extra compute, such as 0.25.
        warmup: The part of each trace that is learnt from and not counted.
    """

    traces: Sequence[Trace]
    ttls_s: Sequence[float]
    policies: Sequence[str]
    extras: Sequence[float]
    warmup: float


class Part(NamedTuple):
    """What one process replays at a time.

    Args:
        trace: Which trace, by its place.
        ttl_s: How long values are fresh, in seconds.
        policy: The policy's name.
        extras: Amounts of extra compute; for the policy that learns, one by one.
    """

    trace: int
    ttl_s: float
    policy: str
    extras: tuple[float, ...]


def parts_of(comparison: Comparison) -> list[Part]:
    """Return all that is to be replayed, in the order of the report."""
    together = tuple(comparison.extras)
    return [
        Part(trace, ttl_s, policy, extras)
        for trace in range(len(comparison.traces))
        for ttl_s in comparison.ttls_s
        for policy in comparison.policies
        for extras in ([(extra,) for extra in together] if policy == PRICED else [together])
    ]


def compare(comparison: Comparison, processes: int | None = None) -> Iterator[list[Finding]]:
    """Replay all parts, and yield the findings of each, in the order of `parts_of`.

    Args:
        comparison: What is to be compared.
        processes: How many to use; None for as many as there are cores.
    """
    parts = parts_of(comparison)
    several = min(os.cpu_count() or 1 if processes is None else processes, len(parts))
    if several <= 1:
        yield from map(Player(comparison.traces, comparison.warmup).play, parts)
        return
    # Spawned, not forked: that is safe beside threads, such as those of a progress bar.
    arguments = (comparison.traces, comparison.warmup)
    with ProcessPoolExecutor(several, get_context("spawn"), _begin, arguments) as pool:
        try:
            yield from pool.map(_play, parts)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class Player:
    """Replays parts, and keeps what several of them need.

    Args:
        traces: The recorded reads.
        warmup: The part of each that is not counted.
    """

    def __init__(self, traces: Sequence[Trace], warmup: float) -> None:
        self._traces = traces
        self._warmup = warmup
        self._ground = lru_cache(maxsize=1)(self._new_ground)

    def play(self, part: Part) -> list[Finding]:
        """Return what one part brings: a finding for each amount of extra compute, or one in all."""
        name = self._traces[part.trace].name
        if part.policy == PRICED:
            return [Finding(name, part.ttl_s, PRICED, extra, self._priced(part, extra)) for extra in part.extras]
        course, plain = self._ground(part.trace, part.ttl_s)
        if part.policy in FIXED:
            return [Finding(name, part.ttl_s, part.policy, None, FIXED[part.policy](course, plain))]
        frontier = SWEPT[part.policy].frontier(course, plain, part.extras)
        return [Finding(name, part.ttl_s, part.policy, extra, frontier.at(extra)) for extra in part.extras]

    def _priced(self, part: Part, extra_compute: float) -> Replayed:
        return replay_priced(self._traces[part.trace], part.ttl_s, Threshold(ExtraCompute(extra_compute)), self._warmup)

    def _new_ground(self, trace: int, ttl_s: float) -> tuple[ReadsByKey, Replayed]:
        course = reads_by_key_of(self._traces[trace], ttl_s, self._warmup)
        return course, replay_plain(course)


_player: Player | None = None
"""What a process of the pool replays with; made once in each, so that traces are handed over once."""


def _begin(traces: Sequence[Trace], warmup: float) -> None:
    global _player
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked
    _player = Player(traces, warmup)


def _play(part: Part) -> list[Finding]:
    if _player is None:
        raise RuntimeError("expected `_begin` to have run in this process")
    return _player.play(part)
