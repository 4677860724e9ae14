"""Comparison of policies on traces, replayed in parallel on all cores."""

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from typing import NamedTuple

from warmer.policy.budget import ExtraCompute
from warmer.policy.threshold import Threshold
from warmer.simulation.policies import FIXED, PRODUCTION, SWEPT
from warmer.simulation.policies.production import replay_production
from warmer.simulation.policies.unconditional import replay_baseline
from warmer.simulation.result import ComparisonRow, ReplayResult
from warmer.simulation.trace.by_key import ReadsByKey
from warmer.simulation.trace.trace import Trace


class Comparison(NamedTuple):
    """What to compare.

    Args:
        traces: The recorded reads.
        ttls_s: The ttls of values, in seconds.
        policies: Names of policies.
        extra_computes: Compute budgets beyond the baseline, such as 0.25.
        warmup: The part of each trace that policies learn from and that does not count.
    """

    traces: Sequence[Trace]
    ttls_s: Sequence[float]
    policies: Sequence[str]
    extra_computes: Sequence[float]
    warmup: float


class ReplayJob(NamedTuple):
    """The unit of work of one process.

    Args:
        trace: The index of the trace.
        ttl_s: The ttl of values, in seconds.
        policy: The policy's name.
        extra_computes: Compute budgets; one alone for the policy that learns.
    """

    trace: int
    ttl_s: float
    policy: str
    extra_computes: tuple[float, ...]


def jobs_of(comparison: Comparison) -> list[ReplayJob]:
    """Return all jobs of a comparison, in the order of the report."""
    together = tuple(comparison.extra_computes)
    return [
        ReplayJob(trace, ttl_s, policy, extra_computes)
        for trace in range(len(comparison.traces))
        for ttl_s in comparison.ttls_s
        for policy in comparison.policies
        for extra_computes in ([(one,) for one in together] if policy == PRODUCTION else [together])
    ]


def compare(comparison: Comparison, processes: int | None = None) -> Iterator[list[ComparisonRow]]:
    """Run all jobs in several processes, by default one for each core, and yield the rows in the order of `jobs_of`."""
    jobs = jobs_of(comparison)
    workers = min(os.cpu_count() or 1 if processes is None else processes, len(jobs))
    if workers <= 1:
        yield from map(Replayer(comparison.traces, comparison.warmup).run, jobs)
        return
    # Spawned, not forked: that is safe beside threads, such as those of a progress bar.
    arguments = (comparison.traces, comparison.warmup)
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin, arguments) as pool:
        try:
            yield from pool.map(_run, jobs)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class Replayer:
    """Runs jobs on traces, and caches the input and the baseline that successive jobs share."""

    def __init__(self, traces: Sequence[Trace], warmup: float) -> None:
        self._traces = traces
        self._warmup = warmup
        self._baseline = lru_cache(maxsize=1)(self._new_baseline)

    def run(self, job: ReplayJob) -> list[ComparisonRow]:
        """Return the rows of one job: one for each compute budget, or one for a policy without a setting."""
        name = self._traces[job.trace].name
        if job.policy == PRODUCTION:
            results = [(extra, self._production(job, extra)) for extra in job.extra_computes]
            return [ComparisonRow(name, job.ttl_s, PRODUCTION, extra, result) for extra, result in results]
        by_key, baseline = self._baseline(job.trace, job.ttl_s)
        if job.policy in FIXED:
            return [ComparisonRow(name, job.ttl_s, job.policy, None, FIXED[job.policy](by_key, baseline))]
        frontier = SWEPT[job.policy].frontier(by_key, baseline, job.extra_computes)
        return [ComparisonRow(name, job.ttl_s, job.policy, extra, frontier.at(extra)) for extra in job.extra_computes]

    def _production(self, job: ReplayJob, extra_compute: float) -> ReplayResult:
        threshold = Threshold(ExtraCompute(extra_compute))
        return replay_production(self._traces[job.trace], job.ttl_s, threshold, self._warmup)

    def _new_baseline(self, trace: int, ttl_s: float) -> tuple[ReadsByKey, ReplayResult]:
        by_key = ReadsByKey.of(self._traces[trace], ttl_s, self._warmup)
        return by_key, replay_baseline(by_key)


_replayer: Replayer | None = None
"""The replayer of a pool process; made once in each, so that traces are sent once."""


def _begin(traces: Sequence[Trace], warmup: float) -> None:
    global _replayer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent process
    _replayer = Replayer(traces, warmup)


def _run(job: ReplayJob) -> list[ComparisonRow]:
    if _replayer is None:
        raise RuntimeError("expected `_begin` to have run in this process")
    return _replayer.run(job)
